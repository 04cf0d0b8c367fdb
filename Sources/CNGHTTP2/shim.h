// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#ifndef TIKV_CNGHTTP2_SHIM_H
#define TIKV_CNGHTTP2_SHIM_H

#include <nghttp2/nghttp2.h>

/// Lets values begin and end with spaces. Versions before 1.50 always do.
static inline void tikv_nghttp2_option_allow_spaces_at_ends(nghttp2_option *option) {
#if NGHTTP2_VERSION_NUM >= 0x013200
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
#endif
}

#endif
