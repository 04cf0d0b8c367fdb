// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#ifndef TIKV_CZLIB_SHIM_H
#define TIKV_CZLIB_SHIM_H

#include <zlib.h>

// Macros, which Swift does not see. The window is the largest there is, in gzip's format.

static inline int tikv_gzip_inflate_init(z_stream *stream) { return inflateInit2(stream, 15 + 16); }

static inline int tikv_gzip_deflate_init(z_stream *stream) {
    return deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}

#endif
