#include "tests/gateway/mqtt/broker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temp.h"

#define START_MS 10000

static struct sockaddr_in here(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int free_port(void)
{
    struct sockaddr_in a = here(0);
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = -1;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 &&
        getsockname(fd, (struct sockaddr *)&a, &n) == 0)
        port = ntohs(a.sin_port);
    close(fd);
    return port;
}

static bool answers(int port)
{
    struct sockaddr_in a = here(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return yes;
}

/* It ends with the test, however that ends. */
static bool spawn_program(pid_t *pid, const char *const *argv)
{
    union {
        const char *const *in;
        char *const *out;
    } args = {argv};
    pid_t parent = getpid();
    *pid = fork();
    if (*pid != 0)
        return *pid > 0;
    int null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && null >= 0 && dup2(null, 0) >= 0 && dup2(null, 1) >= 0 &&
        dup2(null, 2) >= 0)
        execvp(argv[0], args.out);
    _exit(127);
}

/* Another program may take the free port before the broker does: it then ends at once. */
static bool try_start(struct broker *b, const char *more)
{
    char path[512];
    snprintf(path, sizeof path, "%s/mosquitto.conf", b->dir);
    b->port = free_port();
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    fprintf(f, "listener %d %s\nuser root\npersistence false\nallow_anonymous true\n%s", b->port,
            b->address ? b->address : "127.0.0.1", more);
    if (fclose(f) != 0)
        return false;
    if (!spawn_program(&b->pid, (const char *[]){"/usr/sbin/mosquitto", "-c", path, NULL}))
        return false;
    for (int ms = 0; ms < START_MS; ms += 5) {
        if (answers(b->port))
            return true;
        if (waitpid(b->pid, NULL, WNOHANG) != 0)
            return false;
        poll(NULL, 0, 5);
    }
    return false;
}

bool broker_start(struct broker *b, const char *more)
{
    if (!b->dir)
        b->dir = temp_make();
    for (int i = 0; b->dir && i < 3; i++)
        if (try_start(b, more))
            return true;
    return false;
}

void broker_stop(struct broker *b)
{
    if (b->pid > 0) {
        kill(b->pid, SIGKILL);
        waitpid(b->pid, NULL, 0);
    }
    temp_done(b->dir);
    *b = (struct broker){0};
}

bool broker_publish(const struct broker *b, const char *topic, const void *payload, size_t n)
{
    char port[16], path[512];
    pid_t pid;
    int status = -1;
    snprintf(port, sizeof port, "%d", b->port);
    snprintf(path, sizeof path, "%s/payload", b->dir);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(payload, 1, n, f) != n || fclose(f) != 0)
        return false;
    const char *argv[] = {"mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-q", "1", "-t",
                          topic,           "-f", path,        NULL};
    return spawn_program(&pid, argv) && waitpid(pid, &status, 0) == pid && status == 0;
}
