/* Private to mqtt: the calls of libmosquitto, found when the first connection is opened. */
#ifndef GATEWAY_MQTT_MQTT_INT_H
#define GATEWAY_MQTT_MQTT_INT_H

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "gateway/mqtt/mqtt.h"

#define MQTT_CALLS(X)                                                                              \
    X(lib_init)                                                                                    \
    X(new)                                                                                         \
    X(destroy)                                                                                     \
    X(threaded_set)                                                                                \
    X(int_option)                                                                                  \
    X(username_pw_set)                                                                             \
    X(tls_set)                                                                                     \
    X(tls_opts_set)                                                                                \
    X(connect_v5_callback_set)                                                                     \
    X(disconnect_v5_callback_set)                                                                  \
    X(subscribe_callback_set)                                                                      \
    X(message_callback_set)                                                                        \
    X(connect_bind_v5)                                                                             \
    X(connect_bind_async)                                                                          \
    X(subscribe_v5)                                                                                \
    X(socket)                                                                                      \
    X(want_write)                                                                                  \
    X(loop_read)                                                                                   \
    X(loop_write)                                                                                  \
    X(loop_misc)                                                                                   \
    X(strerror)                                                                                    \
    X(reason_string)                                                                               \
    X(property_add_int16)                                                                          \
    X(property_add_int32)                                                                          \
    X(property_free_all)
#define MQTT_CALL(name) __typeof__(mosquitto_##name) *name;
struct mqtt_lib {
    MQTT_CALLS(MQTT_CALL)
};
/* Opens the library once, for good. Any thread. */
enum st mqtt_lib_load(const struct mqtt_lib **out, struct err *e) ST_MUST_CHECK;

#endif
