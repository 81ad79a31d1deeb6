"""What times artifacts on one kind of device: agent.py is the interface, one folder per kind of device."""
