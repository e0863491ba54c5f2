/* A connection over TLS that a test holds open and reads as it likes; verified with the page's own
 * certificate. */
#ifndef TESTS_SUPPORT_TLS_H
#define TESTS_SUPPORT_TLS_H

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct tls {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t trust;
};

/* Shakes hands over the connected socket, which it then owns; ends the program when that fails. */
static inline struct tls *tls_open(int fd, const char *certificate)
{
    struct tls *t = calloc(1, sizeof *t);
    if (!t || gnutls_certificate_allocate_credentials(&t->trust) != 0 ||
        gnutls_certificate_set_x509_trust_file(t->trust, certificate, GNUTLS_X509_FMT_PEM) != 1 ||
        gnutls_init(&t->session, GNUTLS_CLIENT) != 0 ||
        gnutls_set_default_priority(t->session) != 0 ||
        gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->trust) != 0)
        abort();
    t->fd = fd;
    gnutls_session_set_verify_cert(t->session, "localhost", 0);
    gnutls_transport_set_int(t->session, fd);
    gnutls_handshake_set_timeout(t->session, 20000);
    int rc;
    do
        rc = gnutls_handshake(t->session);
    while (rc < 0 && gnutls_error_is_fatal(rc) == 0);
    if (rc < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        abort();
    return t;
}

/* As recv(): 0 or -1 at the end. -2: nothing came in time. */
static inline ssize_t tls_recv(struct tls *t, void *to, size_t n, int ms)
{
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    if (gnutls_record_check_pending(t->session) == 0 && poll(&p, 1, ms) <= 0)
        return -2;
    ssize_t got = gnutls_record_recv(t->session, to, n);
    return got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED ? -2 : got < 0 ? -1 : got;
}

static inline bool tls_send(struct tls *t, const void *p, size_t n)
{
    return gnutls_record_send(t->session, p, n) == (ssize_t)n;
}

static inline void tls_close(struct tls *t)
{
    close(t->fd); /* at once, without a word */
    gnutls_deinit(t->session);
    gnutls_certificate_free_credentials(t->trust);
    free(t);
}

#endif
