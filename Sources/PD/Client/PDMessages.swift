// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

/// A question to PD: it names the cluster that it means.
protocol PDRequest: Message {
    var header: Pdpb_RequestHeader { get set }
}

/// An answer from PD, which may be an error.
protocol PDResponse: Message {
    var header: Pdpb_ResponseHeader { get }
}

extension Pdpb_GetMembersRequest: PDRequest {}
extension Pdpb_GetMembersResponse: PDResponse {}
extension Pdpb_GetRegionRequest: PDRequest {}
extension Pdpb_GetRegionByIDRequest: PDRequest {}
extension Pdpb_GetRegionResponse: PDResponse {}
extension Pdpb_ScanRegionsRequest: PDRequest {}
extension Pdpb_ScanRegionsResponse: PDResponse {}
extension Pdpb_BatchScanRegionsRequest: PDRequest {}
extension Pdpb_BatchScanRegionsResponse: PDResponse {}
extension Pdpb_GetStoreRequest: PDRequest {}
extension Pdpb_GetStoreResponse: PDResponse {}
extension Pdpb_GetAllStoresRequest: PDRequest {}
extension Pdpb_GetAllStoresResponse: PDResponse {}
