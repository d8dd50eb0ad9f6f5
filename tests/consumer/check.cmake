# Installs the build into an empty folder, moves that folder, and builds and runs the programs here against it. They are
# those that README.md shows, with what they print.
cmake_policy(VERSION 3.25)
set(root ${build}/tests/consumer)
file(REMOVE_RECURSE ${root})
file(MAKE_DIRECTORY ${root})

function(run)
  execute_process(COMMAND ${ARGV} WORKING_DIRECTORY ${root} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\nfailed (${status}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# README.md must hold `text` between fences, the opening one in `language`.
file(READ ${source}/../../README.md readme)
function(shown language text what)
  string(FIND "${readme}" "\n```${language}\n${text}```\n" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "README.md must show ${what} word for word between \"```${language}\" and \"```\":\n${text}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${build} --prefix ${root}/installed)
file(RENAME ${root}/installed ${root}/moved)
# What is not for others stays inside.
file(GLOB_RECURSE headers RELATIVE ${root}/moved/include/gradus ${root}/moved/include/gradus/*.hpp)
if(NOT "tensor/ops.hpp" IN_LIST headers)
  message(FATAL_ERROR "tensor/ops.hpp is not installed")
endif()
set(internal ${headers})
list(FILTER internal INCLUDE REGEX
  "/detail/|^tensor/(kernels|ops)/|^tokenizer/(pipeline|lookup/|subword/)|^models/(transformer/families/|training/objectives/)")
if(internal)
  message(FATAL_ERROR "internal headers are installed: ${internal}")
endif()
# Each of the others is complete without what is not installed.
set(includes "")
foreach(header IN LISTS headers)
  string(APPEND includes "#include <gradus/${header}>\n")
endforeach()
file(WRITE ${root}/headers.cpp "${includes}")
run(${compiler} -std=c++20 -fsyntax-only -I ${root}/moved/include -I ${root}/moved/include/gradus ${root}/headers.cpp)

run(${CMAKE_COMMAND} -S ${source} -B ${root}/build -G ${generator} -D CMAKE_CXX_COMPILER=${compiler}
    -D CMAKE_BUILD_TYPE=${config} -D CMAKE_PREFIX_PATH=${root}/moved)
run(${CMAKE_COMMAND} --build ${root}/build)

# Where the programs run stands a text.
string(REPEAT "the king went up the hill and the queen came down again\n" 200 text)
file(WRITE ${root}/text.txt "${text}")
set(programs 0)
foreach(name autodiff training)
  file(READ ${source}/${name}.cpp program)
  shown("cpp" "${program}" "tests/consumer/${name}.cpp")
  run(${root}/build/${name})
  shown("" "${output}" "what tests/consumer/${name}.cpp prints")
  math(EXPR programs "${programs} + 1")
endforeach()
# What the second has made is a run as any other.
if(EXISTS ${build}/gradus)
  run(${build}/gradus resume run --max-iters 40)
  if(NOT output MATCHES "resume run at step 30" OR NOT output MATCHES "done   step 40")
    message(FATAL_ERROR "gradus resume must go on from step 30 to step 40; it says\n${output}")
  endif()
endif()
string(REGEX MATCHALL "\n```cpp\n" blocks "${readme}")
list(LENGTH blocks count)
if(NOT count EQUAL programs)
  message(FATAL_ERROR "README.md shows ${count} programs, of which ${programs} stand in tests/consumer and run")
endif()
file(REMOVE_RECURSE ${root})
