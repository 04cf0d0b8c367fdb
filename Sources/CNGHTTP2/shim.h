// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#ifndef TIKV_CNGHTTP2_SHIM_H
#define TIKV_CNGHTTP2_SHIM_H

#include <nghttp2/nghttp2.h>

#endif
