/* Power sensors of Texas Instruments at register level, behind the port's two I2C functions. Time passes only where the
 * board or the host lets it: an inference, a transfer, a pause. */
#ifndef TN_SENSORS_H
#define TN_SENSORS_H

#include <stdbool.h>
#include <stdint.h>

enum tn_sensor_kind { TN_NOTHING = 0, TN_INA228 = 228, TN_INA226 = 226, TN_INA219 = 219 };

/* One sensor with a shunt, on a supply that is `idle_ma` while the sync pin is low and `run_ma` while it is high. */
void tn_sensors_attach(int kind, uint8_t address, double shunt_ohm, double supply_v, double idle_ma, double run_ma);

/* The supply and the load change; `slowness` above 1 makes conversions take longer than they should. */
void tn_sensors_change(double supply_v, double idle_ma, double run_ma, double slowness);

/* Nobody answers on the bus any more. */
void tn_sensors_unplug(void);

/* How much time has passed. */
double tn_sensors_now_us(void);

/* Let `us` microseconds pass with the sync pin at a level. */
void tn_sensors_elapse(double us, bool high);

#endif
