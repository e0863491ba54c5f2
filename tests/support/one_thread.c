/* Linked into the tests that tests/takes.txt calls one-thread, which ThreadSanitizer does not see
 * at each run: a test that begins to start threads must lose that word. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*main)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*main)(void *),
                          void *arg)
{
    (void)id, (void)attr, (void)main, (void)arg;
    (void)fputs("this test starts a thread: tests/takes.txt must not call it one-thread\n", stderr);
    abort();
}
