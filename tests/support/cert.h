/* A throw-away TLS certificate for 127.0.0.1 and localhost, made by the openssl program. */
#ifndef TESTS_SUPPORT_CERT_H
#define TESTS_SUPPORT_CERT_H

#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Writes a self-signed P-256 certificate (it is its own CA) and its key; false when openssl is
 * missing or fails. */
static inline bool cert_make(const char *cert_path, const char *key_path)
{
    const char *const argv[] = {"openssl",
                                "req",
                                "-x509",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:prime256v1",
                                "-nodes",
                                "-days",
                                "30",
                                "-subj",
                                "/CN=fieldpost test",
                                "-addext",
                                "subjectAltName=IP:127.0.0.1,DNS:localhost",
                                "-keyout",
                                key_path,
                                "-out",
                                cert_path,
                                NULL};
    union {
        const char *const *in;
        char *const *out;
    } args = {argv};
    posix_spawn_file_actions_t fa;
    pid_t pid;
    int status = -1;

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&pid, "openssl", &fa, NULL, args.out, environ) == 0)
        waitpid(pid, &status, 0);
    posix_spawn_file_actions_destroy(&fa);
    return status == 0;
}

#endif
