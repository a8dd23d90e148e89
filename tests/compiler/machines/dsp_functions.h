/* Every function of tn_dsp.h that takes words and gives a word, as (name, number of arguments). */
#ifndef DSP_FUNCTIONS_H
#define DSP_FUNCTIONS_H

#include <stdint.h>

#define DSP_FUNCTIONS(each)                                                                       \
    each(tn_smlad, 3) each(tn_smlabb, 3) each(tn_smlatt, 3) each(tn_sxtb16, 1)                    \
    each(tn_sxtb16_odd, 1) each(tn_pack_low, 2)                                                   \
    each(tn_pack_high, 2) each(tn_smmlar, 3) each(tn_smmla, 3) each(tn_ssat8, 1)

typedef uint32_t (*dsp_function)(uint32_t, uint32_t, uint32_t);

/* In the order of DSP_FUNCTIONS. */
extern const dsp_function dsp_twins[];

#endif
