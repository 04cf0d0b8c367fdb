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
extension Pdpb_GetMinTSRequest: PDRequest {}
extension Pdpb_GetMinTSResponse: PDResponse {}
extension Pdpb_GetExternalTimestampRequest: PDRequest {}
extension Pdpb_GetExternalTimestampResponse: PDResponse {}
extension Pdpb_SetExternalTimestampRequest: PDRequest {}
extension Pdpb_SetExternalTimestampResponse: PDResponse {}
extension Pdpb_ScatterRegionRequest: PDRequest {}
extension Pdpb_ScatterRegionResponse: PDResponse {}
extension Pdpb_SplitRegionsRequest: PDRequest {}
extension Pdpb_SplitRegionsResponse: PDResponse {}
extension Pdpb_SplitAndScatterRegionsRequest: PDRequest {}
extension Pdpb_SplitAndScatterRegionsResponse: PDResponse {}
extension Pdpb_GetOperatorRequest: PDRequest {}
extension Pdpb_GetOperatorResponse: PDResponse {}
extension Pdpb_GetGCSafePointRequest: PDRequest {}
extension Pdpb_GetGCSafePointResponse: PDResponse {}
extension Pdpb_UpdateGCSafePointRequest: PDRequest {}
extension Pdpb_UpdateGCSafePointResponse: PDResponse {}
extension Pdpb_UpdateServiceGCSafePointRequest: PDRequest {}
extension Pdpb_UpdateServiceGCSafePointResponse: PDResponse {}
extension Pdpb_GetGCSafePointV2Request: PDRequest {}
extension Pdpb_GetGCSafePointV2Response: PDResponse {}
extension Pdpb_UpdateGCSafePointV2Request: PDRequest {}
extension Pdpb_UpdateGCSafePointV2Response: PDResponse {}
extension Pdpb_UpdateServiceSafePointV2Request: PDRequest {}
extension Pdpb_UpdateServiceSafePointV2Response: PDResponse {}
extension Pdpb_GetAllGCSafePointV2Request: PDRequest {}
extension Pdpb_GetAllGCSafePointV2Response: PDResponse {}
extension Pdpb_AdvanceGCSafePointRequest: PDRequest {}
extension Pdpb_AdvanceGCSafePointResponse: PDResponse {}
extension Pdpb_AdvanceTxnSafePointRequest: PDRequest {}
extension Pdpb_AdvanceTxnSafePointResponse: PDResponse {}
extension Pdpb_SetGCBarrierRequest: PDRequest {}
extension Pdpb_SetGCBarrierResponse: PDResponse {}
extension Pdpb_DeleteGCBarrierRequest: PDRequest {}
extension Pdpb_DeleteGCBarrierResponse: PDResponse {}
extension Pdpb_SetGlobalGCBarrierRequest: PDRequest {}
extension Pdpb_SetGlobalGCBarrierResponse: PDResponse {}
extension Pdpb_DeleteGlobalGCBarrierRequest: PDRequest {}
extension Pdpb_DeleteGlobalGCBarrierResponse: PDResponse {}
extension Pdpb_GetGCStateRequest: PDRequest {}
extension Pdpb_GetGCStateResponse: PDResponse {}
extension Pdpb_GetAllKeyspacesGCStatesRequest: PDRequest {}
extension Pdpb_GetAllKeyspacesGCStatesResponse: PDResponse {}
extension Pdpb_GetClusterConfigRequest: PDRequest {}
extension Pdpb_GetClusterConfigResponse: PDResponse {}
extension Keyspacepb_LoadKeyspaceRequest: PDRequest {}
extension Keyspacepb_LoadKeyspaceResponse: PDResponse {}
extension Keyspacepb_GetAllKeyspacesRequest: PDRequest {}
extension Keyspacepb_GetAllKeyspacesResponse: PDResponse {}
extension Keyspacepb_UpdateKeyspaceStateRequest: PDRequest {}
extension Keyspacepb_UpdateKeyspaceStateResponse: PDResponse {}
extension Keyspacepb_LoadKeyspaceByIDRequest: PDRequest {}
