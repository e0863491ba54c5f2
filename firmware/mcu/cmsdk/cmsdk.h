/* Peripherals of ARM's Cortex-M System Design Kit (DDI 0479) as on the MPS2 board with the AN385
 * image (DAI 0385), and that board's serial bus controllers (SBCon, two bits of pins).
 *
 * The family implements of firmware/port.h: time (TIMER0), the line (UART0), the watchdog, the
 * reset's cause and the EEPROM's bus; a board adds what it has on it. The UARTs know 8 data bits,
 * no parity and one stop bit alone, have no fifo and no sign that the last stop bit has gone. */
#ifndef FIRMWARE_MCU_CMSDK_CMSDK_H
#define FIRMWARE_MCU_CMSDK_CMSDK_H

#include <stdint.h>

#include "firmware/mcu/pins/pins.h"
#include "sensors/sensor.h"

#define CMSDK_CLOCK_HZ 25000000U

struct cmsdk_uart {
    uint32_t DATA, STATE, CTRL, INTSTATUS, BAUDDIV; /* INTSTATUS: write 1 to clear */
};
#define CMSDK_UART0 ((volatile struct cmsdk_uart *)0x40004000U)
#define CMSDK_UART1 ((volatile struct cmsdk_uart *)0x40005000U)
#define CMSDK_UART2 ((volatile struct cmsdk_uart *)0x40006000U)
#define CMSDK_STATE_TXFULL 1U
#define CMSDK_STATE_RXFULL 2U
#define CMSDK_STATE_RXOVERRUN 8U
#define CMSDK_CTRL_TX 1U
#define CMSDK_CTRL_RX 2U
#define CMSDK_CTRL_TXINT 4U
#define CMSDK_CTRL_RXINT 8U
#define CMSDK_INT_TX 1U
#define CMSDK_INT_RX 2U

struct cmsdk_timer {
    uint32_t CTRL, VALUE, RELOAD, INTSTATUS;
};
#define CMSDK_TIMER0 ((volatile struct cmsdk_timer *)0x40000000U)
#define CMSDK_TIMER_ENABLE 1U
#define CMSDK_TIMER_INT 8U

struct cmsdk_watchdog {
    uint32_t WDOGLOAD, WDOGVALUE, WDOGCONTROL, WDOGINTCLR, WDOGRIS, WDOGMIS;
};
#define CMSDK_WATCHDOG ((volatile struct cmsdk_watchdog *)0x40008000U)
#define CMSDK_WDOGLOCK (*(volatile uint32_t *)0x40008C00U)
#define CMSDK_WDOGLOCK_KEY 0x1ACCE551U
#define CMSDK_WDOG_INT 1U
#define CMSDK_WDOG_RESET 2U

/* Pins of a serial bus controller: reads the levels, writes set or clear those that we drive. */
struct cmsdk_sbcon {
    uint32_t CONTROLS, CONTROLC;
};
#define CMSDK_SBCON3 ((volatile struct cmsdk_sbcon *)0x4002A000U) /* shield 1 */
#define CMSDK_SBCON_SCL 1U
#define CMSDK_SBCON_SDA 2U

enum {
    CMSDK_IRQ_UART0_RX = 0,
    CMSDK_IRQ_UART0_TX = 1,
    CMSDK_IRQ_UART1_RX = 2,
    CMSDK_IRQ_UART2_RX = 4,
    CMSDK_IRQ_TIMER0 = 8,
};

/* Starts the clock that port_us tells. */
void cmsdk_time_start(void);
/* Starts UART1 or UART2 (n) as a sensor's. */
void cmsdk_uart_start(unsigned n, uint32_t baud);
/* struct sensor_uart of UART1 and UART2. */
extern const struct sensor_uart cmsdk_uarts[2];

#endif
