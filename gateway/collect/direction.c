#include "gateway/collect/direction.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <modbus.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "gateway/collect/collect_int.h"

/* While the kernel has the direction, it takes TIOCMBIS and TIOCMBIC in silence and leaves RTS as
 * it is. A port that knows no RS-485 has nothing to take back. */
static bool take_back(int fd)
{
    struct serial_rs485 now;
    if (ioctl(fd, TIOCGRS485, &now) != 0 || !(now.flags & SER_RS485_ENABLED))
        return true;
    now.flags &= ~(unsigned)SER_RS485_ENABLED;
    return ioctl(fd, TIOCSRS485, &now) == 0;
}

bool collect_direction_set(modbus_t *line, int mode)
{
    int fd = modbus_get_socket(line), lines;
    if (mode == COLLECT_RS485_OFF)
        return true;
    if (mode == COLLECT_RS485_KERNEL)
        return modbus_rtu_set_serial_mode(line, MODBUS_RTU_RS485) == 0;
    /* libmodbus sets RTS without looking at what came of it, so that is asked before. */
    return ioctl(fd, TIOCMGET, &lines) == 0 && take_back(fd) &&
           modbus_rtu_set_rts(line, mode == COLLECT_RS485_RTS_UP ? MODBUS_RTU_RTS_UP
                                                                 : MODBUS_RTU_RTS_DOWN) == 0;
}

/* libmodbus puts back at its end what it found, so this must be what it finds. */
static bool rest(int fd, int mode)
{
    struct termios t;
    if (tcgetattr(fd, &t) != 0)
        return false;
    cfmakeraw(&t);
    if (mode == COLLECT_RS485_RTS_DOWN)
        t.c_cflag &= ~(tcflag_t)HUPCL;
    return tcsetattr(fd, TCSANOW, &t) == 0;
}

int collect_direction_lock(const char *port, int mode)
{
    int fd = open(port, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && rest(fd, mode))
        return fd;
    int why = errno == EWOULDBLOCK ? EBUSY : errno;
    (void)close(fd);
    errno = why;
    return -1;
}
