/* Two networks of different sizes, so that what holds for one shows with the other. */
#include "network_ends.h"
#include "other_ends.h"

#define TN_NETWORKS(entry) entry(network, NETWORK) entry(other, OTHER)
