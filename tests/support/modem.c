/* test-modem: a 5G modem (EN-DC) on a pseudo-terminal, quick enough for a clock that runs an hour a
 * second. Prints the terminal's name, then a line for each cell that it has told: its RSRP, another
 * one each time, and how often it was asked. Ends with its standard input. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define SAY_MAX 512
#define FREE_MS 20

static const struct {
    const char *command, *says;
} answers[] = {{"AT", ""},
               {"AT+CMEE=1", ""},
               {"AT+CEREG=2", ""},
               {"AT+COPS=3,2", ""},
               {"AT+CPIN?", "+CPIN: READY\r\n\r\n"},
               {"AT+CEREG?", "+CEREG: 2,1,\"BE3\",\"328261F\",7\r\n\r\n"},
               {"AT+COPS?", "+COPS: 0,2,\"45204\",7\r\n\r\n"},
               {"AT+CSQ", "+CSQ: 24,99\r\n\r\n"},
               {"AT+QCCID", "+QCCID: 8984012345678905678F\r\n\r\n"}};

static void answer(int line, const char *command)
{
    static unsigned told;
    char say[SAY_MAX] = "\r\nERROR\r\n";
    if (strcmp(command, "AT+QENG=\"servingcell\"") == 0) {
        int rsrp = -70 - (int)(told++ % 50);
        (void)snprintf(
            say, sizeof say,
            "\r\n+QENG: \"servingcell\",\"CONNECT\"\r\n+QENG: \"LTE\",\"FDD\",452,04,"
            "328261F,280,1300,3,5,5,BE3,%d,-14,-66,7,4,30,-\r\n+QENG: \"NR5G-NSA\",452,04,"
            "920,-96,18,-10,627264,78,10,1\r\n\r\nOK\r\n",
            rsrp);
        (void)printf("%d %u\n", rsrp, told);
    }
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (strcmp(command, answers[i].command) == 0)
            (void)snprintf(say, sizeof say, "\r\n%sOK\r\n", answers[i].says);
    if (write(line, say, strlen(say)) < 0)
        exit(1);
}

int main(void)
{
    char name[64], held[SAY_MAX];
    size_t n = 0;
    struct termios t;
    int line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) != 0 || unlockpt(line) != 0 ||
        ptsname_r(line, name, sizeof name) != 0)
        return 1;
    int far = open(name, O_RDWR | O_NOCTTY); /* so that the line does not hang up between polls */
    if (far < 0 || tcgetattr(far, &t) != 0)
        return 1;
    cfmakeraw(&t);
    if (tcsetattr(far, TCSANOW, &t) != 0)
        return 1;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)printf("%s\n", name);
    struct pollfd f[2] = {{.fd = line, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    for (int ready; (ready = poll(f, 2, FREE_MS)) >= 0 && !f[1].revents;) {
        if (ready ==
            0) { /* of whoever was killed: `far` keeps the line, and so what he set on it */
            (void)ioctl(far, TIOCNXCL);
            continue;
        }
        ssize_t got = read(line, held + n, sizeof held - 1 - n);
        if (got <= 0)
            return 1;
        n += (size_t)got;
        held[n] = '\0';
        for (char *end; (end = strchr(held, '\r')); n = strlen(held)) {
            *end = '\0';
            answer(line, held);
            memmove(held, end + 1, strlen(end + 1) + 1);
        }
        if (n == sizeof held - 1)
            n = 0; /* no command is so long */
    }
    return 0;
}
