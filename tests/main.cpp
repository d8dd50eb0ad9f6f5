// The main function of Catch2 2.13; 3.x brings a library that has it.
#define CATCH_CONFIG_MAIN
#include "tests/support/catch.hpp"
