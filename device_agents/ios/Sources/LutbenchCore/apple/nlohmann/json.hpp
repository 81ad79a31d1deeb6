// nlohmann's Swift package offers its header without the folder that the runner's sources name.
#pragma once
#include <json.hpp>
