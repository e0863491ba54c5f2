/* libmosquitto brings OpenSSL along: loaded into every gateway it would take memory on all sites
 * that have no MQTT. So it is opened by the first connection. */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "gateway/mqtt/mqtt_int.h"

#define LIBRARY "libmosquitto.so.1"

static struct mqtt_lib lib;
static bool loaded;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static enum st find(void *from, const char *name, void *call, struct err *e)
{
    void *at = dlsym(from, name);
    if (!at)
        return err_set(e, ST_UNSUPPORTED, "%s lacks %s: it is older than 2.0", LIBRARY, name);
    memcpy(call, &at, sizeof at); /* ISO C converts no object pointer to a function's */
    return ST_OK;
}

static enum st load(struct err *e)
{
    void *from = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!from)
        return err_set(e, ST_UNSUPPORTED,
                       "an mqtt bus needs libmosquitto: install the package libmosquitto1");
#define MQTT_FIND(name) ERR_TRY(find(from, "mosquitto_" #name, &lib.name, e));
    MQTT_CALLS(MQTT_FIND)
    if (lib.lib_init() != MOSQ_ERR_SUCCESS)
        return err_set(e, ST_MEMORY, "libmosquitto does not start");
    return ST_OK;
}

enum st mqtt_lib_load(const struct mqtt_lib **out, struct err *e)
{
    pthread_mutex_lock(&lock);
    enum st st = loaded ? ST_OK : load(e);
    loaded = st == ST_OK;
    pthread_mutex_unlock(&lock);
    *out = &lib;
    return st;
}
