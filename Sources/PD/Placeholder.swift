// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0
