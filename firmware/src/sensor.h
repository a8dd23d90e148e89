/* A power sensor on the board's I2C bus, which the host knows and the board does not: the board passes on what the host
 * says, and does two transfers of the host's right before and right after each inference. */
#ifndef TN_SENSOR_H
#define TN_SENSOR_H

#include "frames.h"

enum { TN_MAX_TRANSFER = 32, TN_MAX_PROBE = 8 };

/* The requests I2C and PROBE; PROTOCOL.md has their payloads. */
enum tn_status tn_sensor_transfer(const uint8_t *payload, uint16_t size, struct tn_frame *answer);
enum tn_status tn_sensor_set_probe(const uint8_t *payload, uint16_t size);

/* The request PROBED: what was read around the last inference. */
enum tn_status tn_sensor_report(struct tn_frame *answer);

/* The transfers of the probe, if one is set. */
void tn_sensor_before(void);
void tn_sensor_after(void);

#endif
