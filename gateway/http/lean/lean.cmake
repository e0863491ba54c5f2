# cmake -DNM=nm -DIN=libssh2.so -DOUT=lean.c -P lean.cmake: a function for each that IN has. libcurl
# calls the first three: when it starts and ends, and to say its version.
execute_process(COMMAND ${NM} -D --defined-only ${IN} OUTPUT_VARIABLE names COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "libssh2_[a-z0-9_]+" names "${names}")
list(REMOVE_DUPLICATES names)
list(REMOVE_ITEM names libssh2_init libssh2_exit libssh2_version)
set(text "#include <stddef.h>

int libssh2_init(int flags);
int libssh2_init(int flags)
{
    (void)flags;
    return 0;
}
void libssh2_exit(void);
void libssh2_exit(void)
{
}
const char *libssh2_version(int least);
const char *libssh2_version(int least)
{
    (void)least;
    return \"none\";
}
")
foreach(name ${names})
  string(APPEND text "void *${name}(void);\nvoid *${name}(void)\n{\n    return NULL;\n}\n")
endforeach()
file(WRITE ${OUT} "${text}")
