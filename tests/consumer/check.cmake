# Installs the build into an empty folder, moves that folder, and builds and runs the consumer against it.
set(root ${build}/tests/consumer)
file(REMOVE_RECURSE ${root})

function(run)
  execute_process(COMMAND ${ARGV} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\nfailed (${status}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${build} --prefix ${root}/installed)
file(RENAME ${root}/installed ${root}/moved)
# What is not for others stays inside.
file(GLOB_RECURSE headers RELATIVE ${root}/moved/include/gradus ${root}/moved/include/gradus/*.hpp)
if(NOT "tensor/ops.hpp" IN_LIST headers)
  message(FATAL_ERROR "tensor/ops.hpp is not installed")
endif()
list(FILTER headers INCLUDE REGEX "/detail/|^tensor/(kernels|ops)/")
if(headers)
  message(FATAL_ERROR "internal headers are installed: ${headers}")
endif()

run(${CMAKE_COMMAND} -S ${source} -B ${root}/build -G ${generator} -D CMAKE_CXX_COMPILER=${compiler}
    -D CMAKE_BUILD_TYPE=${config} -D CMAKE_PREFIX_PATH=${root}/moved)
run(${CMAKE_COMMAND} --build ${root}/build)
run(${root}/build/consumer)
# [1 2; 3 4]² = [7 10; 15 22]
if(NOT output STREQUAL "y 54, da 3 7 3 7\n")
  message(FATAL_ERROR "the consumer printed:\n${output}expected:\ny 54, da 3 7 3 7")
endif()
file(REMOVE_RECURSE ${root})
