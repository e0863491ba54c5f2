/* Clocks, time, sleep, the watchdog and why it began. */
#include "firmware/mcu/cortexm/cortexm.h"
#include "firmware/mcu/stm32f1/stm32f1.h"
#include "firmware/mcu/stm32f1/stm32f1_int.h"
#include "firmware/mcu/window.h"
#include "firmware/port.h"
#include "sensors/node.h"

#define PER_US (STM32F1_CLOCK_HZ / 1000000U)
#define TICK_RELOAD (1000U * PER_US - 1)
static volatile uint32_t ticks; /* ms */

/* Turns of a loop: tens of milliseconds at 8 MHz, in which an oscillator starts. */
#define PATIENCE 50000U

bool stm32f1_became(const volatile uint32_t *reg, uint32_t bits, uint32_t value)
{
    for (uint32_t i = 0; i < PATIENCE; i++)
        if ((*reg & bits) == value)
            return true;
    return false;
}

/* 8 MHz * 3, or 8 MHz / 2 * 6. Flash needs no wait states up to 24 MHz. Where
 * nothing of this exists (an emulator) it goes on. */
static void clocks(void)
{
    RCC->CR |= RCC_CR_HSEON;
    bool crystal = stm32f1_became(&RCC->CR, RCC_CR_HSERDY, RCC_CR_HSERDY);
    RCC->CFGR = crystal ? RCC_CFGR_PLLSRC | RCC_CFGR_PLLMUL3 : RCC_CFGR_PLLMUL6;
    RCC->CR |= RCC_CR_PLLON;
    (void)stm32f1_became(&RCC->CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
    RCC->CFGR |= RCC_CFGR_SW_PLL;
    (void)stm32f1_became(&RCC->CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
    RCC->APB2ENR = RCC_APB2ENR_AFIOEN | RCC_APB2ENR_IOPAEN | RCC_APB2ENR_IOPBEN |
                   RCC_APB2ENR_ADC1EN | RCC_APB2ENR_USART1EN;
    RCC->APB1ENR = RCC_APB1ENR_USART2EN | RCC_APB1ENR_USART3EN;
}

void stm32f1_start(void)
{
    clocks();
    SYST_RVR = TICK_RELOAD;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CLKSOURCE;
}

void stm32f1_pin(volatile struct stm32f1_gpio *port, unsigned pin, enum stm32f1_pin as)
{
    volatile uint32_t *cr = pin < 8 ? &port->CRL : &port->CRH;
    unsigned shift = pin % 8 * 4;
    *cr = (*cr & ~(0xFU << shift)) | (uint32_t)as << shift;
}

void stm32f1_systick(void)
{
    ticks++;
}

uint32_t port_ms(void)
{
    return ticks;
}

uint32_t port_us(void)
{
    uint32_t masked;
    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(masked)::"memory");
    uint32_t value = SYST_CVR, whole = ticks;
    if ((SCB_ICSR & SCB_ICSR_PENDSTSET) != 0) { /* it began again, and nobody counted it yet */
        value = SYST_CVR;
        whole++;
    }
    __asm volatile("msr primask, %0" ::"r"(masked) : "memory");
    return whole * 1000 + (TICK_RELOAD - value) / PER_US;
}

/* With the cycles of the core: it also counts while interrupts are masked. */
void stm32f1_wait_us(uint32_t us)
{
    uint32_t left = us * PER_US, last = SYST_CVR;
    for (;;) {
        uint32_t now = SYST_CVR;
        uint32_t gone = last >= now ? last - now : last + TICK_RELOAD + 1 - now;
        if (gone >= left)
            return;
        left -= gone;
        last = now;
    }
}

void stm32f1_mask(void)
{
    cortexm_mask();
}

void stm32f1_unmask(void)
{
    cortexm_unmask();
}

void port_idle(void)
{
    cortexm_mask();
    if (!stm32f1_line_waiting())
        cortexm_wait();
    cortexm_unmask();
}

/* ---- the watchdog: LSI has 30 to 60 kHz, so 1250 / 625 Hz is 1.3 to 2.7 s ---- */

void port_watchdog_start(void)
{
    IWDG->KR = IWDG_KR_START;
    IWDG->KR = IWDG_KR_ACCESS;
    IWDG->PR = IWDG_PR_64;
    IWDG->RLR = 1250;
    IWDG->KR = IWDG_KR_FEED;
}

void port_watchdog_feed(void)
{
    static struct window window;
    if (!window_open(&window, port_ms()))
        return;
    IWDG->KR = IWDG_KR_FEED;
}

unsigned port_reset_cause(void)
{
    uint32_t noted = cortexm_noted(), flags = RCC->CSR;
    RCC->CSR = flags | RCC_CSR_RMVF;
    cortexm_note(0);
    if (flags & RCC_CSR_PORRSTF) /* of memory without power a note says nothing */
        return NODE_RESET_POWER;
    if (flags & RCC_CSR_IWDGRSTF)
        return NODE_RESET_WATCHDOG;
    return noted != 0 ? noted : NODE_RESET_UNKNOWN;
}
