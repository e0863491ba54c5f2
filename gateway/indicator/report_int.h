/* Indicator: what the files of reports share. */
#ifndef GATEWAY_INDICATOR_REPORT_INT_H
#define GATEWAY_INDICATOR_REPORT_INT_H

#include "gateway/indicator/indicator_int.h"

#endif
