# What the images of the sensor node share, and the function that makes one.

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
set(CMAKE_EXECUTABLE_SUFFIX .elf)
set(CMAKE_C_COMPILER_LAUNCHER "") # ccache keeps no call graphs
add_library(node_flags INTERFACE)
target_compile_features(node_flags INTERFACE c_std_11)
target_include_directories(node_flags INTERFACE ${PROJECT_SOURCE_DIR})
# -fcallgraph-info: for tests/board/node/size.
target_compile_options(node_flags INTERFACE -mcpu=cortex-m3 -mthumb -Os -g -ffreestanding
  -ffunction-sections -fdata-sections -fcallgraph-info=su -Wall -Wextra -Wshadow -Wconversion
  -Wmissing-prototypes -Wstrict-prototypes -Wundef -Wvla -fno-common
  $<$<BOOL:${FP_WERROR}>:-Werror>)
target_link_options(node_flags INTERFACE -mcpu=cortex-m3 -mthumb -nostdlib -Wl,--gc-sections
  -Wl,--fatal-warnings -L${PROJECT_SOURCE_DIR})

# fp_node_library(NAME FOLDER...): all .c files of these folders.
function(fp_node_library name)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/)
  list(TRANSFORM ARGN APPEND /*.c)
  file(GLOB sources CONFIGURE_DEPENDS ${ARGN})
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC node_flags)
endfunction()

fp_node_library(node_chips sensors sensors/driver)
fp_node_library(node_cortexm firmware/mcu firmware/mcu/cortexm firmware/mcu/pins)
# Else the compiler makes of these loops calls of the functions that they are in.
set_source_files_properties(${PROJECT_SOURCE_DIR}/firmware/mcu/cortexm/memory.c PROPERTIES
  COMPILE_OPTIONS -fno-tree-loop-distribute-patterns)
fp_node_library(node_firmware firmware firmware/node firmware/slave)
target_compile_definitions(node_firmware PRIVATE NODE_FIRMWARE="${PROJECT_VERSION}"
  PUBLIC LIMITS_POINTS=24 LIMITS_SENSORS=12) # of the largest board; they take RAM

# fp_node_image(NAME FAMILY LINK [SOURCES...]): NAME.elf, of the folder's own sources and these, for
# a part of firmware/mcu/FAMILY, linked by LINK.
function(fp_node_image name family link)
  if(NOT TARGET node_${family})
    fp_node_library(node_${family} firmware/mcu/${family})
    target_link_libraries(node_${family} PUBLIC node_flags)
  endif()
  # The vectors are named by nobody.
  add_executable(${name} ${ARGN} $<TARGET_OBJECTS:node_${family}>)
  target_link_options(${name} PRIVATE -T${link} -Wl,-Map=${CMAKE_BINARY_DIR}/${name}.map)
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${link}
    ${PROJECT_SOURCE_DIR}/firmware/mcu/cortexm/sections.ld)
  target_link_libraries(${name} PRIVATE node_firmware node_chips node_cortexm node_flags gcc)
endfunction()
