/* A real mosquitto on a free port of 127.0.0.1, and messages published to it. */
#ifndef TESTS_GATEWAY_MQTT_BROKER_H
#define TESTS_GATEWAY_MQTT_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct broker {
    char *dir;
    const char *address; /* NULL: 127.0.0.1 */
    pid_t pid;
    int port;
};
/* more: further lines of mosquitto.conf, such as TLS; "" for none. The folder is there before, for
 * files that the lines name. false: it does not start. */
bool broker_start(struct broker *b, const char *more);
void broker_stop(struct broker *b); /* and removes the folder */
/* Publishes with QoS 1, and returns when the broker has it. */
bool broker_publish(const struct broker *b, const char *topic, const void *payload, size_t n);

#endif
