/* The clock, sleep and the watchdog. */
#include "firmware/mcu/cmsdk/cmsdk.h"

#include "firmware/mcu/cmsdk/cmsdk_int.h"
#include "firmware/mcu/cortexm/cortexm.h"
#include "firmware/mcu/window.h"
#include "firmware/port.h"
#include "sensors/node.h"

/* 100 Hz: an emulator pays for each tick. */
#define TICK_US 10000U
#define TICK_MS 10U
#define PER_US (CMSDK_CLOCK_HZ / 1000000U)
#define TICK_RELOAD (TICK_US * PER_US - 1)
/* Twice this without a feed restarts: long, for the emulator may be kept from its processor. */
#define WATCHDOG_S 3U

static volatile uint32_t ticks;

void cmsdk_timer0(void)
{
    CMSDK_TIMER0->INTSTATUS = 1;
    ticks++;
}

void cmsdk_time_start(void)
{
    CMSDK_TIMER0->RELOAD = TICK_RELOAD;
    CMSDK_TIMER0->VALUE = TICK_RELOAD;
    CMSDK_TIMER0->CTRL = CMSDK_TIMER_ENABLE | CMSDK_TIMER_INT;
    cortexm_enable(CMSDK_IRQ_TIMER0);
}

/* Whole ticks, and microseconds of the one that runs. An interrupt may already ask with the mask
 * up. */
static uint32_t now(uint32_t *us)
{
    uint32_t masked;
    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(masked)::"memory");
    uint32_t value = CMSDK_TIMER0->VALUE, whole = ticks;
    if (CMSDK_TIMER0->INTSTATUS & 1U) { /* it began again, and nobody counted it yet */
        value = CMSDK_TIMER0->VALUE;
        whole++;
    }
    __asm volatile("msr primask, %0" ::"r"(masked) : "memory");
    *us = (TICK_RELOAD - value) / PER_US;
    return whole;
}

uint32_t port_us(void)
{
    uint32_t us, whole = now(&us);
    return whole * TICK_US + us;
}

uint32_t port_ms(void)
{
    uint32_t us, whole = now(&us);
    return whole * TICK_MS + us / 1000;
}

void port_idle(void)
{
    cortexm_mask();
    if (!cmsdk_line_waiting())
        cortexm_wait();
    cortexm_unmask();
}

/* ---- the watchdog: its first time-out is an NMI, the second resets ---- */

void cmsdk_nmi(void)
{
    cortexm_note(NODE_RESET_WATCHDOG);
    CMSDK_WDOGLOCK = CMSDK_WDOGLOCK_KEY;
    CMSDK_WATCHDOG->WDOGLOAD = 1; /* no second wait */
    for (;;)
        ;
}

void port_watchdog_start(void)
{
    CMSDK_WDOGLOCK = CMSDK_WDOGLOCK_KEY;
    CMSDK_WATCHDOG->WDOGLOAD = WATCHDOG_S * CMSDK_CLOCK_HZ;
    CMSDK_WATCHDOG->WDOGCONTROL = CMSDK_WDOG_INT | CMSDK_WDOG_RESET;
    CMSDK_WDOGLOCK = 0;
}

void port_watchdog_feed(void)
{
    static struct window window;
    if (!window_open(&window, port_ms()))
        return;
    CMSDK_WDOGLOCK = CMSDK_WDOGLOCK_KEY;
    CMSDK_WATCHDOG->WDOGINTCLR = 1;
    CMSDK_WDOGLOCK = 0;
}

unsigned port_reset_cause(void)
{
    uint32_t cause = cortexm_noted();
    cortexm_note(0);
    return cause != 0 ? cause : NODE_RESET_POWER;
}
