/* The units that measure_convert knows; measure_unit returns one of them, or -1. */
#ifndef MEASURE_UNITS_H
#define MEASURE_UNITS_H

enum { MEASURE_METRE = 1, MEASURE_FOOT = 2 };

#endif
