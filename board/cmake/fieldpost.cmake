# What every target of fieldpost shares, and the two functions that declare rooms and tests.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
option(FP_STAGES "tests that look at the whole tree: lints, the other presets, mutants" OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# Programs find gateway/http/lean beside them, built or installed. The path is the same for both:
# CMake would pad another with an empty one, which the loader takes for the working directory.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib/fieldpost")
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)

add_library(fp_flags INTERFACE)
target_compile_features(fp_flags INTERFACE c_std_11)
target_compile_definitions(fp_flags INTERFACE _GNU_SOURCE _TIME_BITS=64 _FILE_OFFSET_BITS=64)
target_include_directories(fp_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/gen)
target_compile_options(fp_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wundef -Wvla
  -Wformat=2 -fno-common -fstack-protector-strong -ffp-contract=off $<$<BOOL:${FP_WERROR}>:-Werror>
  # Messages are cut to their buffer on purpose.
  $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>)
target_link_options(fp_flags INTERFACE -Wl,--as-needed -Wl,-z,relro,-z,now)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(FP_SANITIZE)
  target_compile_options(fp_flags INTERFACE -fsanitize=${FP_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(fp_flags INTERFACE -fsanitize=${FP_SANITIZE})
endif()

# fp_package(NAME): the pkg-config package NAME as target PkgConfig::NAME.
function(fp_package name)
  if(NOT TARGET PkgConfig::${name})
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${name})
  endif()
endfunction()

# fp_room(NAME DEPS room... PACKAGES pkg... LIBS lib...): all .c files of this folder as one static
# library. A package is private to its room: its headers do not reach the rooms that use this one.
function(fp_room name)
  cmake_parse_arguments(R "" "" "DEPS;PACKAGES;LIBS;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  add_library(${name} STATIC ${sources} ${R_SOURCES})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C)
  target_link_libraries(${name} PUBLIC fp_flags ${R_DEPS} PRIVATE ${R_LIBS} Threads::Threads)
  foreach(p ${R_PACKAGES})
    fp_package(${p})
    target_link_libraries(${name} PRIVATE PkgConfig::${p})
  endforeach()
endfunction()

# fp_embed(SOURCES FILE SYMBOL): appends to the list SOURCES a C file that holds FILE as SYMBOL
# (embed.cmake says how).
function(fp_embed sources file symbol)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  set(script ${PROJECT_SOURCE_DIR}/board/cmake/embed.cmake)
  add_custom_command(OUTPUT ${out} DEPENDS ${file} ${script}
    COMMAND ${CMAKE_COMMAND} -DIN=${file} -DOUT=${out} -DNAME=${symbol} -P ${script})
  set(${sources} ${${sources}} ${out} PARENT_SCOPE)
endfunction()

# fp_takes(OUT NAME): the line of tests/takes.txt about the test NAME as a list; empty: it has none.
set(FP_TAKES ${PROJECT_SOURCE_DIR}/tests/takes.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${FP_TAKES})
function(fp_takes out name)
  string(REPLACE "." "\\." pattern ${name})
  file(STRINGS ${FP_TAKES} line REGEX "^${pattern} ")
  separate_arguments(line UNIX_COMMAND "${line}")
  set(${out} ${line} PARENT_SCOPE)
endfunction()

# fp_test(NAME LABEL TIMEOUT COMMAND...): one ctest test. tests/takes.txt says what it takes of the
# machine, in slots of which ctest gives four a processor (tests/run): what waits takes one, what
# computes two, what keeps two processors busy five, so that others always go on beside it. The widest
# start first, for they never find room behind the narrow, then the long. What computes is nice to
# what waits, whose times are judged; a stage has tests of both kinds and leaves it to them. What
# measures whether anything is late at all has the machine alone, at the end. Exit code 77: a part of
# it was skipped.
set(FP_SLOTS_waits 1)
set(FP_SLOTS_computes 2)
set(FP_SLOTS_whole 4)
set(FP_SLOTS_both 5)
set(FP_SLOTS_stage 5)
set(FP_SLOTS_alone 5)
function(fp_test name label timeout)
  set(how waits)
  set(seconds 1)
  if(label STREQUAL unit)
    set(how computes)
  elseif(label STREQUAL fuzz) # it has so many seconds, and a whole processor for them
    set(how whole)
  endif()
  fp_takes(line ${name})
  if(line)
    list(GET line 1 how)
    list(GET line 2 seconds)
  endif()
  set(slots ${FP_SLOTS_${how}})
  set(full "")
  if(CMAKE_CROSSCOMPILING AND "native" IN_LIST line)
    set(full ${PROJECT_SOURCE_DIR}/tests/support/full ${name} 0 "it takes minutes through an emulator")
  elseif(CMAKE_CROSSCOMPILING AND "in-turn" IN_LIST line)
    set(full ${PROJECT_SOURCE_DIR}/tests/support/full ${name} 4 "it is long through an emulator: one in four takes its turn")
  elseif(FP_SANITIZE STREQUAL thread AND "one-thread" IN_LIST line)
    set(full ${PROJECT_SOURCE_DIR}/tests/support/full ${name} 0 "it has one thread, which races with nobody")
  endif()
  # A unit test without a line is short, but for an emulator.
  set(nice FALSE)
  if(how MATCHES "^(computes|whole|both)$" AND (line OR CMAKE_CROSSCOMPILING OR NOT name MATCHES "^unit"))
    set(nice TRUE)
  endif()
  math(EXPR cost "${slots} / 5 * 10000 + ${seconds}")
  set(command ${ARGN})
  if(full OR nice)
    list(GET command 0 program)
    if(TARGET ${program})
      list(REMOVE_AT command 0)
      list(PREPEND command ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:${program}>)
    endif()
  endif()
  if(nice)
    list(PREPEND command nice -n 10)
  endif()
  list(PREPEND command ${full})
  add_test(NAME ${name} COMMAND ${command})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout} SKIP_RETURN_CODE 77
    PROCESSORS ${slots} COST ${cost})
  if(how STREQUAL alone)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
    if(FP_STAGES) # a stage, whose tests run beside others, is not alone
      set_tests_properties(${name} PROPERTIES ENVIRONMENT FP_ALONE=1)
    endif()
  endif()
endfunction()

# fp_unit_tests(DEPS room...): each test_*.c of this folder becomes one cmocka program and one
# ctest test named after its path, label unit.
function(fp_unit_tests)
  cmake_parse_arguments(T "" "" "DEPS;LIBS" ${ARGN})
  fp_package(cmocka)
  file(RELATIVE_PATH where ${PROJECT_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  string(REPLACE "/" "." where "${where}")
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/test_*.c)
  foreach(t ${tests})
    get_filename_component(base ${t} NAME_WE)
    string(REGEX REPLACE "^test_" "" short ${base})
    set(target unit.${where}.${short})
    add_executable(${target} ${t})
    target_link_libraries(${target} PRIVATE ${T_DEPS} ${T_LIBS} fp_flags PkgConfig::cmocka
      Threads::Threads m)
    target_compile_definitions(${target} PRIVATE FP_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    fp_takes(line ${target})
    if("one-thread" IN_LIST line AND NOT FP_SANITIZE STREQUAL thread)
      target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/one_thread.c)
      target_link_options(${target} PRIVATE -Wl,--wrap=pthread_create)
    endif()
    fp_test(${target} unit 600 ${target})
  endforeach()
endfunction()
