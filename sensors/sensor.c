/* The table of drivers. An image that does not ask for it links only its board's. */
#include "sensors/sensor.h"

#define SENSOR_DRIVER(id, name) extern const struct sensor_driver sensor_##name;
#include "sensors/driver/drivers.def"
#undef SENSOR_DRIVER

#define SENSOR_DRIVER(id, name) &sensor_##name,
const struct sensor_driver *const sensor_drivers[SENSOR_DRIVERS] = {
#include "sensors/driver/drivers.def"
};
#undef SENSOR_DRIVER

const struct sensor_driver *sensor_driver_by_id(uint16_t id)
{
    for (size_t i = 0; i < SENSOR_DRIVERS; i++)
        if (sensor_drivers[i]->id == id)
            return sensor_drivers[i];
    return NULL;
}
