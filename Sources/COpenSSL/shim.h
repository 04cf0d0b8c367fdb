// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#ifndef TIKV_COPENSSL_SHIM_H
#define TIKV_COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#endif
