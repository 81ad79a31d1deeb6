#pragma once
#include <json_fwd.hpp>
