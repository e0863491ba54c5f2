# Images that tests alone use, in the preset `node`.
set(here ${CMAKE_CURRENT_LIST_DIR})

fp_node_image(test-hang cmsdk ${PROJECT_SOURCE_DIR}/board/mps2-an385/link.ld
  ${PROJECT_SOURCE_DIR}/board/mps2-an385/board.c ${here}/hang.c)
target_link_options(test-hang PRIVATE -Wl,--wrap=port_idle)

# fp_node_test(NAME SOURCES...): tests of the host that run on target, test-NAME.elf.
function(fp_node_test name)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/tests/)
  add_executable(test-${name} ${ARGN} ${here}/target/target.c)
  target_include_directories(test-${name} BEFORE PRIVATE ${here}/target)
  target_compile_options(test-${name} PRIVATE -Wno-missing-prototypes)
  target_link_options(test-${name} PRIVATE -T${here}/target/link.ld)
  target_link_libraries(test-${name} PRIVATE node_firmware node_chips node_cortexm node_flags gcc)
endfunction()

# The bench and the virtual chips.
file(GLOB chips RELATIVE ${PROJECT_SOURCE_DIR}/tests CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/tests/sensors/*.c)
list(FILTER chips EXCLUDE REGEX "/test_")
fp_node_test(drivers sensors/test_drivers.c ${chips})
foreach(t frame slave kept)
  fp_node_test(${t} firmware/test_${t}.c firmware/fake.c)
endforeach()
