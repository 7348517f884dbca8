# Cross build for 64-bit Windows with mingw-w64: compiles and links, is not run.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc)
# This compiler checks formats as the C library of Windows reads them (without %zu); the project's
# formats are for its own formatter, and every other build checks them.
set(CMAKE_C_FLAGS_INIT "-Wno-format -Wno-format-extra-args")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
