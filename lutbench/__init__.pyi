from lutbench.interface import Net as Net
from lutbench.interface import Space as Space
from lutbench.interface import bench as bench
from lutbench.interface import diff as diff
from lutbench.interface import predict as predict
from lutbench.interface import profile as profile
from lutbench.interface import read_lut as read_lut
from lutbench.interface import search as search
from lutbench.interface import verify as verify

__version__: str
