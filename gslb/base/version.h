/* gslb/base/version.h
 * The version of the programs, as --version, the interface and the page show it. */
#ifndef GSLB_BASE_VERSION_H
#define GSLB_BASE_VERSION_H

#define GSLB_VERSION "0.1.0"

#endif
