#include "tests/gateway/collect/slave.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MBAP_BYTES 6
#define FRAME_MAX 300

struct slave_late {
    uint8_t frame[FRAME_MAX];
    size_t n;
    int64_t at_ms; /* 0: nothing to come */
    struct {
        uint8_t frame[FRAME_MAX];
        size_t n;
    } held[SLAVE_BEHIND_MAX + 1];
};

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint16_t crc16(const uint8_t *p, size_t n)
{
    uint16_t crc = 0xFFFF;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int b = 0; b < 8; b++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
    }
    return crc;
}

static bool is_tcp(const struct slave *s)
{
    return s->listener >= 0;
}

static void say(const struct slave *s, const uint8_t *p, size_t n)
{
    if (s->line >= 0)
        (void)!write(s->line, p, n); /* the master may be gone; the test sees what it got */
}

/* Puts an answer behind those that are held, and gives those whose turn it is. */
static void hold(struct slave *s, const uint8_t *p, size_t n, unsigned behind)
{
    unsigned held = atomic_load(&s->held);
    memcpy(s->late->held[held].frame, p, n);
    s->late->held[held++].n = n;
    while (held > behind) {
        say(s, s->late->held[0].frame, s->late->held[0].n);
        memmove(&s->late->held[0], &s->late->held[1], --held * sizeof s->late->held[0]);
    }
    atomic_store(&s->held, held);
}

/* Unit and PDU framed for the line; returns the frame's length. */
static size_t frame(const struct slave *s, const uint8_t *mbap, const uint8_t *body, size_t n,
                    enum slave_mood mood, uint8_t *out)
{
    if (is_tcp(s)) {
        memcpy(out, mbap, MBAP_BYTES);
        out[1] = (uint8_t)(out[1] + (mood == SLAVE_OTHER_REQUEST));
        out[4] = 0;
        out[5] = (uint8_t)n;
        memcpy(out + MBAP_BYTES, body, n);
        return MBAP_BYTES + n;
    }
    memcpy(out, body, n);
    uint16_t crc = (uint16_t)(crc16(body, n) ^ (mood == SLAVE_OTHER_REQUEST));
    out[n] = (uint8_t)crc;
    out[n + 1] = (uint8_t)(crc >> 8);
    return n + 2;
}

static unsigned value_of(struct slave *s, const struct slave_words *w, const uint8_t *req,
                         unsigned address, unsigned counter)
{
    if (w)
        return w->v[address - w->from];
    if (address >= SLAVE_SET && address < SLAVE_SET + SLAVE_SETS)
        return atomic_load(&s->set[req[0]][address - SLAVE_SET]);
    return address == 0 ? counter & 0x7FFF : address;
}

static size_t build(struct slave *s, const struct slave_words *w, const uint8_t *req,
                    enum slave_mood mood, unsigned counter, uint8_t *body)
{
    unsigned address = (unsigned)req[2] << 8 | req[3], count = (unsigned)req[4] << 8 | req[5];
    bool good = mood == SLAVE_GOOD || mood == SLAVE_PIECES || mood == SLAVE_TWICE;
    body[0] = (uint8_t)(req[0] + (mood == SLAVE_OTHER_UNIT));
    body[1] = (uint8_t)(mood == SLAVE_OTHER_FUNCTION ? req[1] ^ 7 : req[1]);
    if (mood == SLAVE_REFUSE) {
        body[1] |= 0x80;
        body[2] = 2;
        return 3;
    }
    if (req[1] <= 2) { /* bits: the lowest of what a register would hold */
        memset(body + 2, 0, 1 + count / 8 + 1);
        body[2] = (uint8_t)((count + 7) / 8);
        for (unsigned i = 0; i < count; i++)
            body[3 + i / 8] |= (uint8_t)((value_of(s, w, req, address + i, counter) & 1) << i % 8);
        return 3 + body[2];
    }
    count -= mood == SLAVE_SHORT;
    body[2] = (uint8_t)(2 * count);
    for (unsigned i = 0; i < count; i++) {
        unsigned v = good ? value_of(s, w, req, address + i, counter) : SLAVE_POISON;
        body[3 + 2 * i] = (uint8_t)(v >> 8);
        body[4 + 2 * i] = (uint8_t)v;
    }
    return 3 + 2 * count;
}

static bool is_there(const struct slave_words *w, const uint8_t *req)
{
    unsigned address = (unsigned)req[2] << 8 | req[3], count = (unsigned)req[4] << 8 | req[5];
    return address >= w->from && address + count <= w->from + w->n;
}

/* req: unit, function, address, count. */
static void answer(struct slave *s, const uint8_t *mbap, const uint8_t *req)
{
    enum slave_mood mood = (enum slave_mood)atomic_load(&s->mood[req[0]]);
    bool joined = req[4] != 0 || req[5] > 1;
    if (mood == SLAVE_REFUSE_JOINED)
        mood = joined ? SLAVE_REFUSE : SLAVE_GOOD;
    else if (mood == SLAVE_MUTE_JOINED)
        mood = joined ? SLAVE_MUTE : SLAVE_GOOD;
    else if (mood == SLAVE_MUTE_LONG)
        mood = req[4] != 0 || req[5] > 2 ? SLAVE_MUTE : SLAVE_GOOD;
    if (req[1] == atomic_load(&s->mute_function))
        mood = SLAVE_MUTE;
    const struct slave_words *w = atomic_load(&s->words[req[0]]);
    if (w && mood == SLAVE_GOOD && !is_there(w, req))
        mood = w->mute ? SLAVE_MUTE : SLAVE_REFUSE;
    unsigned counter = atomic_fetch_add(&s->requests[req[0]], 1) + 1;
    uint8_t body[FRAME_MAX], out[FRAME_MAX];
    size_t n = frame(s, mbap, body, build(s, w, req, mood, counter, body), mood, out);
    switch (mood) {
    case SLAVE_MUTE:
        break;
    case SLAVE_GARBAGE:
        memset(out, 0x5A, sizeof out);
        say(s, out, 40);
        break;
    case SLAVE_PIECES:
        say(s, out, n / 2);
        (void)poll(NULL, 0, SLAVE_PIECES_MS);
        say(s, out + n / 2, n - n / 2);
        break;
    case SLAVE_HALF:
        say(s, out, n / 2);
        break;
    case SLAVE_LATE:
        memcpy(s->late->frame, out, n);
        s->late->n = n;
        s->late->at_ms = now_ms() + SLAVE_LATE_MS;
        break;
    case SLAVE_TWICE:
        say(s, out, n);
        n = frame(s, mbap, body, build(s, w, req, SLAVE_LATE, counter, body), mood, out);
        say(s, out, n);
        break;
    case SLAVE_HANG_UP:
        (void)close(s->line);
        s->line = -1;
        break;
    default:
        hold(s, out, n, atomic_load(&s->behind[req[0]]));
        break;
    }
}

/* Reads one request; what is no whole request ends a connection. */
static void hear(struct slave *s)
{
    uint8_t adu[FRAME_MAX];
    size_t want = is_tcp(s) ? MBAP_BYTES + 6 : 8, n = 0;
    while (n < want) {
        struct pollfd p[2] = {{s->line, POLLIN, 0}, {s->wake[0], POLLIN, 0}};
        if (n > 0 && (poll(p, 2, 1000) <= 0 || p[1].revents))
            return;
        ssize_t got = read(s->line, adu + n, want - n);
        if (got <= 0) {
            if (is_tcp(s)) {
                (void)close(s->line);
                s->line = -1;
            }
            return;
        }
        n += (size_t)got;
    }
    answer(s, adu, is_tcp(s) ? adu + MBAP_BYTES : adu);
}

static void *serve(void *arg)
{
    struct slave *s = arg;
    while (!atomic_load(&s->stop)) {
        int wait_ms = -1;
        if (s->late->at_ms != 0)
            wait_ms = s->late->at_ms > now_ms() ? (int)(s->late->at_ms - now_ms()) : 0;
        struct pollfd p[3] = {
            {s->wake[0], POLLIN, 0}, {s->line, POLLIN, 0}, {s->listener, POLLIN, 0}};
        (void)poll(p, 3, wait_ms);
        if (s->late->at_ms != 0 && now_ms() >= s->late->at_ms) {
            say(s, s->late->frame, s->late->n);
            s->late->at_ms = 0;
        }
        if (p[2].revents & POLLIN) {
            if (s->line >= 0)
                (void)close(s->line);
            s->line = accept(s->listener, NULL, NULL);
        } else if (p[1].revents) {
            hear(s);
        }
    }
    return NULL;
}

static int start(struct slave *s)
{
    pthread_t t;
    (void)signal(SIGPIPE, SIG_IGN); /* a master that hangs up while it is answered */
    s->late = calloc(1, sizeof *s->late);
    if (!s->late || pipe2(s->wake, O_CLOEXEC) != 0 || pthread_create(&t, NULL, serve, s) != 0)
        return -1;
    s->thread = t;
    return 0;
}

int slave_open_tcp(struct slave *s, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int one = 1;
    *s = (struct slave){.line = -1, .keep = -1};
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0 ||
        setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(s->listener, (struct sockaddr *)&a, n) != 0 || listen(s->listener, 8) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&a, &n) != 0)
        return -1;
    (void)snprintf(s->address, sizeof s->address, "%u", ntohs(a.sin_port));
    return start(s);
}

int slave_open_serial(struct slave *s)
{
    *s = (struct slave){.listener = -1};
    s->line = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s->line < 0 || grantpt(s->line) != 0 || unlockpt(s->line) != 0 ||
        ptsname_r(s->line, s->address, sizeof s->address) != 0)
        return -1;
    /* held open, so that the line lives between two openings by the master */
    s->keep = open(s->address, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;
    if (s->keep < 0 || tcgetattr(s->keep, &raw) != 0)
        return -1;
    cfmakeraw(&raw);
    return tcsetattr(s->keep, TCSANOW, &raw) == 0 ? start(s) : -1;
}

void slave_close(struct slave *s)
{
    if (!s->thread)
        return;
    atomic_store(&s->stop, true);
    (void)!write(s->wake[1], "", 1);
    (void)pthread_join(s->thread, NULL);
    int fds[] = {s->wake[0], s->wake[1], s->listener, s->line, s->keep};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    free(s->late);
    s->thread = 0;
}
