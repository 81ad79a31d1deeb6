"""Stands in for torchvision, which is not installed beside this CPU build of torch, so that timm can be imported.

timm's nets compute with torch alone. What timm imports of torchvision at its top is for images and data sets, which no
net touches; a name of it that is used all the same says what it is.
"""
