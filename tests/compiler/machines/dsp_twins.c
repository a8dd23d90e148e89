/* The portable twins of the DSP instructions, compiled for a CPU that has the instructions. */
#undef __ARM_FEATURE_DSP
#include "dsp_functions.h"
#include "tn_dsp.h"
#include "dsp_wrap.h"

const dsp_function dsp_twins[] = {DSP_FUNCTIONS(DSP_ENTRY)};
