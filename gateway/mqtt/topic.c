/* Topics and filters: MQTT 5.0, section 4.7. Own code, for the configuration is checked on machines
 * that do not have the library. */
#include <string.h>

#include "gateway/mqtt/mqtt.h"

#define FILTER_MAX 1024

/* A wildcard stands alone between two slashes, and # at the end. */
bool mqtt_filter_valid(const char *filter)
{
    size_t n = strlen(filter);
    if (n == 0 || n > FILTER_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool alone = (i == 0 || filter[i - 1] == '/') && (i + 1 == n || filter[i + 1] == '/');
        if ((unsigned char)filter[i] < ' ' || (strchr("+#", filter[i]) && !alone) ||
            (filter[i] == '#' && i + 1 != n))
            return false;
    }
    return true;
}

bool mqtt_topic_matches(const char *filter, const char *topic)
{
    if (*topic == '$' && *filter != '$')
        return false; /* the broker's own topics match no leading wildcard */
    for (;;) {
        size_t f = strcspn(filter, "/"), t = strcspn(topic, "/");
        if (f == 1 && *filter == '#')
            return true;
        if (!(f == 1 && *filter == '+') && (f != t || memcmp(filter, topic, f) != 0))
            return false;
        filter += f;
        topic += t;
        if (!*topic)
            return !*filter || strcmp(filter, "/#") == 0; /* "a/#" is also "a" */
        if (!*filter)
            return false;
        filter++;
        topic++;
    }
}
