/* STM32F100xx, the low-cost line. Registers and bits are named as in ST's reference manual RM0041,
 * interrupts as in its table of vectors.
 *
 * The family implements of firmware/port.h: time (SysTick), the line (USART1), the watchdog (IWDG),
 * the reset's cause, supply, temperature and serial number; a board adds what is wired to it. */
#ifndef FIRMWARE_MCU_STM32F1_STM32F1_H
#define FIRMWARE_MCU_STM32F1_STM32F1_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/mcu/pins/pins.h"
#include "sensors/sensor.h"

#define STM32F1_CLOCK_HZ 24000000U /* of the core and of both APB */

struct stm32f1_rcc {
    uint32_t CR, CFGR, CIR, APB2RSTR, APB1RSTR, AHBENR, APB2ENR, APB1ENR, BDCR, CSR, reserved,
        CFGR2;
};
#define RCC ((volatile struct stm32f1_rcc *)0x40021000U)
#define RCC_CR_HSEON (1U << 16)
#define RCC_CR_HSERDY (1U << 17)
#define RCC_CR_PLLON (1U << 24)
#define RCC_CR_PLLRDY (1U << 25)
#define RCC_CFGR_SW_PLL 2U
#define RCC_CFGR_SWS (3U << 2)
#define RCC_CFGR_SWS_PLL (2U << 2)
#define RCC_CFGR_PLLSRC (1U << 16) /* HSE through PREDIV1; else HSI / 2 */
#define RCC_CFGR_PLLMUL3 (1U << 18)
#define RCC_CFGR_PLLMUL6 (4U << 18)
#define RCC_APB2ENR_AFIOEN (1U << 0)
#define RCC_APB2ENR_IOPAEN (1U << 2)
#define RCC_APB2ENR_IOPBEN (1U << 3)
#define RCC_APB2ENR_ADC1EN (1U << 9)
#define RCC_APB2ENR_USART1EN (1U << 14)
#define RCC_APB1ENR_USART2EN (1U << 17)
#define RCC_APB1ENR_USART3EN (1U << 18)
#define RCC_CSR_RMVF (1U << 24)
#define RCC_CSR_PORRSTF (1U << 27)
#define RCC_CSR_SFTRSTF (1U << 28)
#define RCC_CSR_IWDGRSTF (1U << 29)

struct stm32f1_gpio {
    uint32_t CRL, CRH, IDR, ODR, BSRR, BRR, LCKR;
};
#define GPIOA ((volatile struct stm32f1_gpio *)0x40010800U)
#define GPIOB ((volatile struct stm32f1_gpio *)0x40010C00U)
enum stm32f1_pin { /* CNF and MODE of a pin, at 2 MHz where it is driven */
                   STM32F1_OUTPUT = 0x2,
                   STM32F1_OPEN_DRAIN = 0x6,
                   STM32F1_ALTERNATE = 0xA,
                   STM32F1_FLOATING = 0x4,
                   STM32F1_PULLED = 0x8, /* by the bit in ODR: up or down */
};

struct stm32f1_exti {
    uint32_t IMR, EMR, RTSR, FTSR, SWIER, PR;
};
#define EXTI ((volatile struct stm32f1_exti *)0x40010400U)
#define AFIO_EXTICR ((volatile uint32_t *)0x40010008U)

struct stm32f1_usart {
    uint32_t SR, DR, BRR, CR1, CR2, CR3, GTPR;
};
#define USART1 ((volatile struct stm32f1_usart *)0x40013800U)
#define USART2 ((volatile struct stm32f1_usart *)0x40004400U)
#define USART3 ((volatile struct stm32f1_usart *)0x40004800U)
#define USART_SR_PE (1U << 0)
#define USART_SR_FE (1U << 1)
#define USART_SR_NE (1U << 2)
#define USART_SR_ORE (1U << 3)
#define USART_SR_RXNE (1U << 5)
#define USART_SR_TC (1U << 6)
#define USART_SR_TXE (1U << 7)
#define USART_CR1_RE (1U << 2)
#define USART_CR1_TE (1U << 3)
#define USART_CR1_RXNEIE (1U << 5)
#define USART_CR1_TCIE (1U << 6)
#define USART_CR1_TXEIE (1U << 7)
#define USART_CR1_PS (1U << 9) /* odd */
#define USART_CR1_PCE (1U << 10)
#define USART_CR1_M (1U << 12) /* nine bits, parity counted */
#define USART_CR1_UE (1U << 13)
#define USART_CR2_STOP_2 (2U << 12)

struct stm32f1_adc {
    uint32_t SR, CR1, CR2, SMPR1, SMPR2, JOFR[4], HTR, LTR, SQR1, SQR2, SQR3, JSQR, JDR[4], DR;
};
#define ADC1 ((volatile struct stm32f1_adc *)0x40012400U)
#define ADC_SR_EOC (1U << 1)
#define ADC_CR2_ADON (1U << 0)
#define ADC_CR2_CAL (1U << 2)
#define ADC_CR2_RSTCAL (1U << 3)
#define ADC_CR2_EXTSEL_SWSTART (7U << 17)
#define ADC_CR2_EXTTRIG (1U << 20)
#define ADC_CR2_SWSTART (1U << 22)
#define ADC_CR2_TSVREFE (1U << 23)

struct stm32f1_iwdg {
    uint32_t KR, PR, RLR, SR;
};
#define IWDG ((volatile struct stm32f1_iwdg *)0x40003000U)
#define IWDG_KR_FEED 0xAAAAU
#define IWDG_KR_ACCESS 0x5555U
#define IWDG_KR_START 0xCCCCU
#define IWDG_PR_64 4U

#define DBGMCU_IDCODE (*(const volatile uint32_t *)0xE0042000U)
#define UNIQUE_ID ((const volatile uint32_t *)0x1FFFF7E8U) /* 96 bits */

enum {
    STM32F1_IRQ_EXTI9_5 = 23,
    STM32F1_IRQ_USART1 = 37,
    STM32F1_IRQ_USART2 = 38,
    STM32F1_IRQ_USART3 = 39,
};

/* 24 MHz from the crystal of 8 MHz; from the RC oscillator where it does not start. Starts the
 * clock that port_us tells, and what the family uses of the peripherals' clocks. */
void stm32f1_start(void);
/* Sets pin 0 to 15 up. */
void stm32f1_pin(volatile struct stm32f1_gpio *port, unsigned pin, enum stm32f1_pin as);
/* The line on PA9 (TX) and PA10 (RX), its driver's enable on PA8: set up with port_line_open. */

/* Starts USART2 (PA2, PA3) or USART3 (PB10, PB11) as a sensor's; n is 2 or 3. */
void stm32f1_uart_start(unsigned n, uint32_t baud);
/* struct sensor_uart of USART2 and USART3. */
extern const struct sensor_uart stm32f1_uarts[2];
/* Counts falling edges on PB8 and PB9, pulled up, 20 ms or more from one that was counted. */
void stm32f1_pulses_start(void);
extern const struct sensor_pulses stm32f1_pulses[2];

void stm32f1_wait_us(uint32_t us); /* at least */
void stm32f1_mask(void);
void stm32f1_unmask(void);

#endif
