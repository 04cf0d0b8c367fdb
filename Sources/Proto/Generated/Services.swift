// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0
//
// DO NOT EDIT: dev/generate-proto writes this file from the service blocks in Sources/Proto/schema.

/// The calls of `deadlock.Deadlock`.
package enum DeadlockDeadlockRPC {
    package static let getWaitForEntries = RPCMethod<Deadlock_WaitForEntriesRequest, Deadlock_WaitForEntriesResponse>(
        service: "deadlock.Deadlock", name: "GetWaitForEntries", kind: .unary)
    package static let detect = RPCMethod<Deadlock_DeadlockRequest, Deadlock_DeadlockResponse>(
        service: "deadlock.Deadlock", name: "Detect", kind: .bidirectional)
}

/// The calls of `debugpb.Debug`.
package enum DebugpbDebugRPC {
    package static let getRegionProperties = RPCMethod<Debugpb_GetRegionPropertiesRequest, Debugpb_GetRegionPropertiesResponse>(
        service: "debugpb.Debug", name: "GetRegionProperties", kind: .unary)
}

/// The calls of `gcpb.GC`.
package enum GcpbGCRPC {
    package static let listKeySpaces = RPCMethod<Gcpb_ListKeySpacesRequest, Gcpb_ListKeySpacesResponse>(
        service: "gcpb.GC", name: "ListKeySpaces", kind: .unary)
    package static let getMinServiceSafePoint = RPCMethod<Gcpb_GetMinServiceSafePointRequest, Gcpb_GetMinServiceSafePointResponse>(
        service: "gcpb.GC", name: "GetMinServiceSafePoint", kind: .unary)
    package static let updateGCSafePoint = RPCMethod<Gcpb_UpdateGCSafePointRequest, Gcpb_UpdateGCSafePointResponse>(
        service: "gcpb.GC", name: "UpdateGCSafePoint", kind: .unary)
    package static let updateServiceSafePoint = RPCMethod<Gcpb_UpdateServiceSafePointRequest, Gcpb_UpdateServiceSafePointResponse>(
        service: "gcpb.GC", name: "UpdateServiceSafePoint", kind: .unary)
}

/// The calls of `keyspacepb.Keyspace`.
package enum KeyspacepbKeyspaceRPC {
    package static let loadKeyspace = RPCMethod<Keyspacepb_LoadKeyspaceRequest, Keyspacepb_LoadKeyspaceResponse>(
        service: "keyspacepb.Keyspace", name: "LoadKeyspace", kind: .unary)
    package static let lookupKeyspace = RPCMethod<Keyspacepb_LookupKeyspaceRequest, Keyspacepb_LookupKeyspaceResponse>(
        service: "keyspacepb.Keyspace", name: "LookupKeyspace", kind: .unary)
    package static let loadKeyspaceByID = RPCMethod<Keyspacepb_LoadKeyspaceByIDRequest, Keyspacepb_LoadKeyspaceResponse>(
        service: "keyspacepb.Keyspace", name: "LoadKeyspaceByID", kind: .unary)
    package static let watchKeyspaces = RPCMethod<Keyspacepb_WatchKeyspacesRequest, Keyspacepb_WatchKeyspacesResponse>(
        service: "keyspacepb.Keyspace", name: "WatchKeyspaces", kind: .serverStreaming)
    package static let updateKeyspaceState = RPCMethod<Keyspacepb_UpdateKeyspaceStateRequest, Keyspacepb_UpdateKeyspaceStateResponse>(
        service: "keyspacepb.Keyspace", name: "UpdateKeyspaceState", kind: .unary)
    package static let getAllKeyspaces = RPCMethod<Keyspacepb_GetAllKeyspacesRequest, Keyspacepb_GetAllKeyspacesResponse>(
        service: "keyspacepb.Keyspace", name: "GetAllKeyspaces", kind: .unary)
}

/// The calls of `meta_storagepb.MetaStorage`.
package enum MetaStoragepbMetaStorageRPC {
    package static let watch = RPCMethod<MetaStoragepb_WatchRequest, MetaStoragepb_WatchResponse>(
        service: "meta_storagepb.MetaStorage", name: "Watch", kind: .serverStreaming)
    package static let get = RPCMethod<MetaStoragepb_GetRequest, MetaStoragepb_GetResponse>(
        service: "meta_storagepb.MetaStorage", name: "Get", kind: .unary)
    package static let put = RPCMethod<MetaStoragepb_PutRequest, MetaStoragepb_PutResponse>(
        service: "meta_storagepb.MetaStorage", name: "Put", kind: .unary)
    package static let delete = RPCMethod<MetaStoragepb_DeleteRequest, MetaStoragepb_DeleteResponse>(
        service: "meta_storagepb.MetaStorage", name: "Delete", kind: .unary)
}

/// The calls of `pdpb.PD`.
package enum PdpbPDRPC {
    package static let getClusterInfo = RPCMethod<Pdpb_GetClusterInfoRequest, Pdpb_GetClusterInfoResponse>(
        service: "pdpb.PD", name: "GetClusterInfo", kind: .unary)
    package static let getMembers = RPCMethod<Pdpb_GetMembersRequest, Pdpb_GetMembersResponse>(
        service: "pdpb.PD", name: "GetMembers", kind: .unary)
    package static let tso = RPCMethod<Pdpb_TsoRequest, Pdpb_TsoResponse>(
        service: "pdpb.PD", name: "Tso", kind: .bidirectional)
    package static let bootstrap = RPCMethod<Pdpb_BootstrapRequest, Pdpb_BootstrapResponse>(
        service: "pdpb.PD", name: "Bootstrap", kind: .unary)
    package static let isBootstrapped = RPCMethod<Pdpb_IsBootstrappedRequest, Pdpb_IsBootstrappedResponse>(
        service: "pdpb.PD", name: "IsBootstrapped", kind: .unary)
    package static let allocID = RPCMethod<Pdpb_AllocIDRequest, Pdpb_AllocIDResponse>(
        service: "pdpb.PD", name: "AllocID", kind: .unary)
    package static let getStore = RPCMethod<Pdpb_GetStoreRequest, Pdpb_GetStoreResponse>(
        service: "pdpb.PD", name: "GetStore", kind: .unary)
    package static let putStore = RPCMethod<Pdpb_PutStoreRequest, Pdpb_PutStoreResponse>(
        service: "pdpb.PD", name: "PutStore", kind: .unary)
    package static let getAllStores = RPCMethod<Pdpb_GetAllStoresRequest, Pdpb_GetAllStoresResponse>(
        service: "pdpb.PD", name: "GetAllStores", kind: .unary)
    package static let getRegion = RPCMethod<Pdpb_GetRegionRequest, Pdpb_GetRegionResponse>(
        service: "pdpb.PD", name: "GetRegion", kind: .unary)
    package static let getPrevRegion = RPCMethod<Pdpb_GetRegionRequest, Pdpb_GetRegionResponse>(
        service: "pdpb.PD", name: "GetPrevRegion", kind: .unary)
    package static let getRegionByID = RPCMethod<Pdpb_GetRegionByIDRequest, Pdpb_GetRegionResponse>(
        service: "pdpb.PD", name: "GetRegionByID", kind: .unary)
    package static let queryRegion = RPCMethod<Pdpb_QueryRegionRequest, Pdpb_QueryRegionResponse>(
        service: "pdpb.PD", name: "QueryRegion", kind: .bidirectional)
    package static let scanRegions = RPCMethod<Pdpb_ScanRegionsRequest, Pdpb_ScanRegionsResponse>(
        service: "pdpb.PD", name: "ScanRegions", kind: .unary)
    package static let batchScanRegions = RPCMethod<Pdpb_BatchScanRegionsRequest, Pdpb_BatchScanRegionsResponse>(
        service: "pdpb.PD", name: "BatchScanRegions", kind: .unary)
    package static let getClusterConfig = RPCMethod<Pdpb_GetClusterConfigRequest, Pdpb_GetClusterConfigResponse>(
        service: "pdpb.PD", name: "GetClusterConfig", kind: .unary)
    package static let scatterRegion = RPCMethod<Pdpb_ScatterRegionRequest, Pdpb_ScatterRegionResponse>(
        service: "pdpb.PD", name: "ScatterRegion", kind: .unary)
    package static let getGCSafePoint = RPCMethod<Pdpb_GetGCSafePointRequest, Pdpb_GetGCSafePointResponse>(
        service: "pdpb.PD", name: "GetGCSafePoint", kind: .unary)
    package static let updateGCSafePoint = RPCMethod<Pdpb_UpdateGCSafePointRequest, Pdpb_UpdateGCSafePointResponse>(
        service: "pdpb.PD", name: "UpdateGCSafePoint", kind: .unary)
    package static let updateServiceGCSafePoint = RPCMethod<Pdpb_UpdateServiceGCSafePointRequest, Pdpb_UpdateServiceGCSafePointResponse>(
        service: "pdpb.PD", name: "UpdateServiceGCSafePoint", kind: .unary)
    package static let getGCSafePointV2 = RPCMethod<Pdpb_GetGCSafePointV2Request, Pdpb_GetGCSafePointV2Response>(
        service: "pdpb.PD", name: "GetGCSafePointV2", kind: .unary)
    package static let watchGCSafePointV2 = RPCMethod<Pdpb_WatchGCSafePointV2Request, Pdpb_WatchGCSafePointV2Response>(
        service: "pdpb.PD", name: "WatchGCSafePointV2", kind: .serverStreaming)
    package static let updateGCSafePointV2 = RPCMethod<Pdpb_UpdateGCSafePointV2Request, Pdpb_UpdateGCSafePointV2Response>(
        service: "pdpb.PD", name: "UpdateGCSafePointV2", kind: .unary)
    package static let updateServiceSafePointV2 = RPCMethod<Pdpb_UpdateServiceSafePointV2Request, Pdpb_UpdateServiceSafePointV2Response>(
        service: "pdpb.PD", name: "UpdateServiceSafePointV2", kind: .unary)
    package static let getAllGCSafePointV2 = RPCMethod<Pdpb_GetAllGCSafePointV2Request, Pdpb_GetAllGCSafePointV2Response>(
        service: "pdpb.PD", name: "GetAllGCSafePointV2", kind: .unary)
    package static let advanceGCSafePoint = RPCMethod<Pdpb_AdvanceGCSafePointRequest, Pdpb_AdvanceGCSafePointResponse>(
        service: "pdpb.PD", name: "AdvanceGCSafePoint", kind: .unary)
    package static let advanceTxnSafePoint = RPCMethod<Pdpb_AdvanceTxnSafePointRequest, Pdpb_AdvanceTxnSafePointResponse>(
        service: "pdpb.PD", name: "AdvanceTxnSafePoint", kind: .unary)
    package static let setGCBarrier = RPCMethod<Pdpb_SetGCBarrierRequest, Pdpb_SetGCBarrierResponse>(
        service: "pdpb.PD", name: "SetGCBarrier", kind: .unary)
    package static let deleteGCBarrier = RPCMethod<Pdpb_DeleteGCBarrierRequest, Pdpb_DeleteGCBarrierResponse>(
        service: "pdpb.PD", name: "DeleteGCBarrier", kind: .unary)
    package static let setGlobalGCBarrier = RPCMethod<Pdpb_SetGlobalGCBarrierRequest, Pdpb_SetGlobalGCBarrierResponse>(
        service: "pdpb.PD", name: "SetGlobalGCBarrier", kind: .unary)
    package static let deleteGlobalGCBarrier = RPCMethod<Pdpb_DeleteGlobalGCBarrierRequest, Pdpb_DeleteGlobalGCBarrierResponse>(
        service: "pdpb.PD", name: "DeleteGlobalGCBarrier", kind: .unary)
    package static let getGCState = RPCMethod<Pdpb_GetGCStateRequest, Pdpb_GetGCStateResponse>(
        service: "pdpb.PD", name: "GetGCState", kind: .unary)
    package static let getAllKeyspacesGCStates = RPCMethod<Pdpb_GetAllKeyspacesGCStatesRequest, Pdpb_GetAllKeyspacesGCStatesResponse>(
        service: "pdpb.PD", name: "GetAllKeyspacesGCStates", kind: .unary)
    package static let getOperator = RPCMethod<Pdpb_GetOperatorRequest, Pdpb_GetOperatorResponse>(
        service: "pdpb.PD", name: "GetOperator", kind: .unary)
    package static let splitRegions = RPCMethod<Pdpb_SplitRegionsRequest, Pdpb_SplitRegionsResponse>(
        service: "pdpb.PD", name: "SplitRegions", kind: .unary)
    package static let splitAndScatterRegions = RPCMethod<Pdpb_SplitAndScatterRegionsRequest, Pdpb_SplitAndScatterRegionsResponse>(
        service: "pdpb.PD", name: "SplitAndScatterRegions", kind: .unary)
    package static let storeGlobalConfig = RPCMethod<Pdpb_StoreGlobalConfigRequest, Pdpb_StoreGlobalConfigResponse>(
        service: "pdpb.PD", name: "StoreGlobalConfig", kind: .unary)
    package static let loadGlobalConfig = RPCMethod<Pdpb_LoadGlobalConfigRequest, Pdpb_LoadGlobalConfigResponse>(
        service: "pdpb.PD", name: "LoadGlobalConfig", kind: .unary)
    package static let watchGlobalConfig = RPCMethod<Pdpb_WatchGlobalConfigRequest, Pdpb_WatchGlobalConfigResponse>(
        service: "pdpb.PD", name: "WatchGlobalConfig", kind: .serverStreaming)
    package static let setExternalTimestamp = RPCMethod<Pdpb_SetExternalTimestampRequest, Pdpb_SetExternalTimestampResponse>(
        service: "pdpb.PD", name: "SetExternalTimestamp", kind: .unary)
    package static let getExternalTimestamp = RPCMethod<Pdpb_GetExternalTimestampRequest, Pdpb_GetExternalTimestampResponse>(
        service: "pdpb.PD", name: "GetExternalTimestamp", kind: .unary)
    package static let getMinTS = RPCMethod<Pdpb_GetMinTSRequest, Pdpb_GetMinTSResponse>(
        service: "pdpb.PD", name: "GetMinTS", kind: .unary)
}

/// The calls of `resource_manager.ResourceManager`.
package enum ResourceManagerResourceManagerRPC {
    package static let listResourceGroups = RPCMethod<ResourceManager_ListResourceGroupsRequest, ResourceManager_ListResourceGroupsResponse>(
        service: "resource_manager.ResourceManager", name: "ListResourceGroups", kind: .unary)
    package static let getResourceGroup = RPCMethod<ResourceManager_GetResourceGroupRequest, ResourceManager_GetResourceGroupResponse>(
        service: "resource_manager.ResourceManager", name: "GetResourceGroup", kind: .unary)
    package static let addResourceGroup = RPCMethod<ResourceManager_PutResourceGroupRequest, ResourceManager_PutResourceGroupResponse>(
        service: "resource_manager.ResourceManager", name: "AddResourceGroup", kind: .unary)
    package static let modifyResourceGroup = RPCMethod<ResourceManager_PutResourceGroupRequest, ResourceManager_PutResourceGroupResponse>(
        service: "resource_manager.ResourceManager", name: "ModifyResourceGroup", kind: .unary)
    package static let deleteResourceGroup = RPCMethod<ResourceManager_DeleteResourceGroupRequest, ResourceManager_DeleteResourceGroupResponse>(
        service: "resource_manager.ResourceManager", name: "DeleteResourceGroup", kind: .unary)
    package static let acquireTokenBuckets = RPCMethod<ResourceManager_TokenBucketsRequest, ResourceManager_TokenBucketsResponse>(
        service: "resource_manager.ResourceManager", name: "AcquireTokenBuckets", kind: .bidirectional)
}

/// The calls of `routerpb.Router`.
package enum RouterpbRouterRPC {
    package static let getRegion = RPCMethod<Pdpb_GetRegionRequest, Pdpb_GetRegionResponse>(
        service: "routerpb.Router", name: "GetRegion", kind: .unary)
    package static let getPrevRegion = RPCMethod<Pdpb_GetRegionRequest, Pdpb_GetRegionResponse>(
        service: "routerpb.Router", name: "GetPrevRegion", kind: .unary)
    package static let getRegionByID = RPCMethod<Pdpb_GetRegionByIDRequest, Pdpb_GetRegionResponse>(
        service: "routerpb.Router", name: "GetRegionByID", kind: .unary)
    package static let queryRegion = RPCMethod<Pdpb_QueryRegionRequest, Pdpb_QueryRegionResponse>(
        service: "routerpb.Router", name: "QueryRegion", kind: .bidirectional)
    package static let batchScanRegions = RPCMethod<Pdpb_BatchScanRegionsRequest, Pdpb_BatchScanRegionsResponse>(
        service: "routerpb.Router", name: "BatchScanRegions", kind: .unary)
    package static let getStore = RPCMethod<Pdpb_GetStoreRequest, Pdpb_GetStoreResponse>(
        service: "routerpb.Router", name: "GetStore", kind: .unary)
    package static let getAllStores = RPCMethod<Pdpb_GetAllStoresRequest, Pdpb_GetAllStoresResponse>(
        service: "routerpb.Router", name: "GetAllStores", kind: .unary)
}

/// The calls of `tikvpb.Tikv`.
package enum TikvpbTikvRPC {
    package static let kvGet = RPCMethod<Kvrpcpb_GetRequest, Kvrpcpb_GetResponse>(
        service: "tikvpb.Tikv", name: "KvGet", kind: .unary, batchField: 1)
    package static let kvScan = RPCMethod<Kvrpcpb_ScanRequest, Kvrpcpb_ScanResponse>(
        service: "tikvpb.Tikv", name: "KvScan", kind: .unary, batchField: 2)
    package static let kvPrewrite = RPCMethod<Kvrpcpb_PrewriteRequest, Kvrpcpb_PrewriteResponse>(
        service: "tikvpb.Tikv", name: "KvPrewrite", kind: .unary, batchField: 3)
    package static let kvPessimisticLock = RPCMethod<Kvrpcpb_PessimisticLockRequest, Kvrpcpb_PessimisticLockResponse>(
        service: "tikvpb.Tikv", name: "KvPessimisticLock", kind: .unary, batchField: 23)
    package static let kvPessimisticRollback = RPCMethod<Kvrpcpb_PessimisticRollbackRequest, Kvrpcpb_PessimisticRollbackResponse>(
        service: "tikvpb.Tikv", name: "KVPessimisticRollback", kind: .unary, batchField: 24)
    package static let kvTxnHeartBeat = RPCMethod<Kvrpcpb_TxnHeartBeatRequest, Kvrpcpb_TxnHeartBeatResponse>(
        service: "tikvpb.Tikv", name: "KvTxnHeartBeat", kind: .unary, batchField: 26)
    package static let kvCheckTxnStatus = RPCMethod<Kvrpcpb_CheckTxnStatusRequest, Kvrpcpb_CheckTxnStatusResponse>(
        service: "tikvpb.Tikv", name: "KvCheckTxnStatus", kind: .unary, batchField: 25)
    package static let kvCheckSecondaryLocks = RPCMethod<Kvrpcpb_CheckSecondaryLocksRequest, Kvrpcpb_CheckSecondaryLocksResponse>(
        service: "tikvpb.Tikv", name: "KvCheckSecondaryLocks", kind: .unary, batchField: 33)
    package static let kvCommit = RPCMethod<Kvrpcpb_CommitRequest, Kvrpcpb_CommitResponse>(
        service: "tikvpb.Tikv", name: "KvCommit", kind: .unary, batchField: 4)
    package static let kvImport = RPCMethod<Kvrpcpb_ImportRequest, Kvrpcpb_ImportResponse>(
        service: "tikvpb.Tikv", name: "KvImport", kind: .unary, batchField: 5)
    package static let kvCleanup = RPCMethod<Kvrpcpb_CleanupRequest, Kvrpcpb_CleanupResponse>(
        service: "tikvpb.Tikv", name: "KvCleanup", kind: .unary, batchField: 6)
    package static let kvBatchGet = RPCMethod<Kvrpcpb_BatchGetRequest, Kvrpcpb_BatchGetResponse>(
        service: "tikvpb.Tikv", name: "KvBatchGet", kind: .unary, batchField: 7)
    package static let kvBatchRollback = RPCMethod<Kvrpcpb_BatchRollbackRequest, Kvrpcpb_BatchRollbackResponse>(
        service: "tikvpb.Tikv", name: "KvBatchRollback", kind: .unary, batchField: 8)
    package static let kvScanLock = RPCMethod<Kvrpcpb_ScanLockRequest, Kvrpcpb_ScanLockResponse>(
        service: "tikvpb.Tikv", name: "KvScanLock", kind: .unary, batchField: 9)
    package static let kvResolveLock = RPCMethod<Kvrpcpb_ResolveLockRequest, Kvrpcpb_ResolveLockResponse>(
        service: "tikvpb.Tikv", name: "KvResolveLock", kind: .unary, batchField: 10)
    package static let kvGC = RPCMethod<Kvrpcpb_GCRequest, Kvrpcpb_GCResponse>(
        service: "tikvpb.Tikv", name: "KvGC", kind: .unary, batchField: 11)
    package static let kvDeleteRange = RPCMethod<Kvrpcpb_DeleteRangeRequest, Kvrpcpb_DeleteRangeResponse>(
        service: "tikvpb.Tikv", name: "KvDeleteRange", kind: .unary, batchField: 12)
    package static let kvPrepareFlashbackToVersion = RPCMethod<Kvrpcpb_PrepareFlashbackToVersionRequest, Kvrpcpb_PrepareFlashbackToVersionResponse>(
        service: "tikvpb.Tikv", name: "KvPrepareFlashbackToVersion", kind: .unary, batchField: 36)
    package static let kvFlashbackToVersion = RPCMethod<Kvrpcpb_FlashbackToVersionRequest, Kvrpcpb_FlashbackToVersionResponse>(
        service: "tikvpb.Tikv", name: "KvFlashbackToVersion", kind: .unary, batchField: 35)
    package static let kvFlush = RPCMethod<Kvrpcpb_FlushRequest, Kvrpcpb_FlushResponse>(
        service: "tikvpb.Tikv", name: "KvFlush", kind: .unary, batchField: 37)
    package static let kvBufferBatchGet = RPCMethod<Kvrpcpb_BufferBatchGetRequest, Kvrpcpb_BufferBatchGetResponse>(
        service: "tikvpb.Tikv", name: "KvBufferBatchGet", kind: .unary, batchField: 38)
    package static let rawGet = RPCMethod<Kvrpcpb_RawGetRequest, Kvrpcpb_RawGetResponse>(
        service: "tikvpb.Tikv", name: "RawGet", kind: .unary, batchField: 13)
    package static let rawBatchGet = RPCMethod<Kvrpcpb_RawBatchGetRequest, Kvrpcpb_RawBatchGetResponse>(
        service: "tikvpb.Tikv", name: "RawBatchGet", kind: .unary, batchField: 14)
    package static let rawPut = RPCMethod<Kvrpcpb_RawPutRequest, Kvrpcpb_RawPutResponse>(
        service: "tikvpb.Tikv", name: "RawPut", kind: .unary, batchField: 15)
    package static let rawBatchPut = RPCMethod<Kvrpcpb_RawBatchPutRequest, Kvrpcpb_RawBatchPutResponse>(
        service: "tikvpb.Tikv", name: "RawBatchPut", kind: .unary, batchField: 16)
    package static let rawDelete = RPCMethod<Kvrpcpb_RawDeleteRequest, Kvrpcpb_RawDeleteResponse>(
        service: "tikvpb.Tikv", name: "RawDelete", kind: .unary, batchField: 17)
    package static let rawBatchDelete = RPCMethod<Kvrpcpb_RawBatchDeleteRequest, Kvrpcpb_RawBatchDeleteResponse>(
        service: "tikvpb.Tikv", name: "RawBatchDelete", kind: .unary, batchField: 18)
    package static let rawScan = RPCMethod<Kvrpcpb_RawScanRequest, Kvrpcpb_RawScanResponse>(
        service: "tikvpb.Tikv", name: "RawScan", kind: .unary, batchField: 19)
    package static let rawDeleteRange = RPCMethod<Kvrpcpb_RawDeleteRangeRequest, Kvrpcpb_RawDeleteRangeResponse>(
        service: "tikvpb.Tikv", name: "RawDeleteRange", kind: .unary, batchField: 20)
    package static let rawBatchScan = RPCMethod<Kvrpcpb_RawBatchScanRequest, Kvrpcpb_RawBatchScanResponse>(
        service: "tikvpb.Tikv", name: "RawBatchScan", kind: .unary, batchField: 21)
    package static let rawGetKeyTTL = RPCMethod<Kvrpcpb_RawGetKeyTTLRequest, Kvrpcpb_RawGetKeyTTLResponse>(
        service: "tikvpb.Tikv", name: "RawGetKeyTTL", kind: .unary)
    package static let rawCompareAndSwap = RPCMethod<Kvrpcpb_RawCASRequest, Kvrpcpb_RawCASResponse>(
        service: "tikvpb.Tikv", name: "RawCompareAndSwap", kind: .unary)
    package static let rawChecksum = RPCMethod<Kvrpcpb_RawChecksumRequest, Kvrpcpb_RawChecksumResponse>(
        service: "tikvpb.Tikv", name: "RawChecksum", kind: .unary)
    package static let unsafeDestroyRange = RPCMethod<Kvrpcpb_UnsafeDestroyRangeRequest, Kvrpcpb_UnsafeDestroyRangeResponse>(
        service: "tikvpb.Tikv", name: "UnsafeDestroyRange", kind: .unary)
    package static let registerLockObserver = RPCMethod<Kvrpcpb_RegisterLockObserverRequest, Kvrpcpb_RegisterLockObserverResponse>(
        service: "tikvpb.Tikv", name: "RegisterLockObserver", kind: .unary)
    package static let checkLockObserver = RPCMethod<Kvrpcpb_CheckLockObserverRequest, Kvrpcpb_CheckLockObserverResponse>(
        service: "tikvpb.Tikv", name: "CheckLockObserver", kind: .unary)
    package static let removeLockObserver = RPCMethod<Kvrpcpb_RemoveLockObserverRequest, Kvrpcpb_RemoveLockObserverResponse>(
        service: "tikvpb.Tikv", name: "RemoveLockObserver", kind: .unary)
    package static let physicalScanLock = RPCMethod<Kvrpcpb_PhysicalScanLockRequest, Kvrpcpb_PhysicalScanLockResponse>(
        service: "tikvpb.Tikv", name: "PhysicalScanLock", kind: .unary)
    package static let coprocessor = RPCMethod<Coprocessor_Request, Coprocessor_Response>(
        service: "tikvpb.Tikv", name: "Coprocessor", kind: .unary, batchField: 22)
    package static let coprocessorStream = RPCMethod<Coprocessor_Request, Coprocessor_Response>(
        service: "tikvpb.Tikv", name: "CoprocessorStream", kind: .serverStreaming)
    package static let batchCoprocessor = RPCMethod<Coprocessor_BatchRequest, Coprocessor_BatchResponse>(
        service: "tikvpb.Tikv", name: "BatchCoprocessor", kind: .serverStreaming)
    package static let delegateCoprocessor = RPCMethod<Coprocessor_DelegateRequest, Coprocessor_DelegateResponse>(
        service: "tikvpb.Tikv", name: "DelegateCoprocessor", kind: .unary)
    package static let rawCoprocessor = RPCMethod<Kvrpcpb_RawCoprocessorRequest, Kvrpcpb_RawCoprocessorResponse>(
        service: "tikvpb.Tikv", name: "RawCoprocessor", kind: .unary, batchField: 34)
    package static let splitRegion = RPCMethod<Kvrpcpb_SplitRegionRequest, Kvrpcpb_SplitRegionResponse>(
        service: "tikvpb.Tikv", name: "SplitRegion", kind: .unary)
    package static let mvccGetByKey = RPCMethod<Kvrpcpb_MvccGetByKeyRequest, Kvrpcpb_MvccGetByKeyResponse>(
        service: "tikvpb.Tikv", name: "MvccGetByKey", kind: .unary)
    package static let mvccGetByStartTs = RPCMethod<Kvrpcpb_MvccGetByStartTsRequest, Kvrpcpb_MvccGetByStartTsResponse>(
        service: "tikvpb.Tikv", name: "MvccGetByStartTs", kind: .unary)
    package static let batchCommands = RPCMethod<Tikvpb_BatchCommandsRequest, Tikvpb_BatchCommandsResponse>(
        service: "tikvpb.Tikv", name: "BatchCommands", kind: .bidirectional)
    package static let dispatchMPPTask = RPCMethod<Mpp_DispatchTaskRequest, Mpp_DispatchTaskResponse>(
        service: "tikvpb.Tikv", name: "DispatchMPPTask", kind: .unary)
    package static let cancelMPPTask = RPCMethod<Mpp_CancelTaskRequest, Mpp_CancelTaskResponse>(
        service: "tikvpb.Tikv", name: "CancelMPPTask", kind: .unary)
    package static let establishMPPConnection = RPCMethod<Mpp_EstablishMPPConnectionRequest, Mpp_MPPDataPacket>(
        service: "tikvpb.Tikv", name: "EstablishMPPConnection", kind: .serverStreaming)
    package static let isAlive = RPCMethod<Mpp_IsAliveRequest, Mpp_IsAliveResponse>(
        service: "tikvpb.Tikv", name: "IsAlive", kind: .unary)
    package static let reportMPPTaskStatus = RPCMethod<Mpp_ReportTaskStatusRequest, Mpp_ReportTaskStatusResponse>(
        service: "tikvpb.Tikv", name: "ReportMPPTaskStatus", kind: .unary)
    package static let getStoreSafeTS = RPCMethod<Kvrpcpb_StoreSafeTSRequest, Kvrpcpb_StoreSafeTSResponse>(
        service: "tikvpb.Tikv", name: "GetStoreSafeTS", kind: .unary)
    package static let getLockWaitInfo = RPCMethod<Kvrpcpb_GetLockWaitInfoRequest, Kvrpcpb_GetLockWaitInfoResponse>(
        service: "tikvpb.Tikv", name: "GetLockWaitInfo", kind: .unary)
    package static let compact = RPCMethod<Kvrpcpb_CompactRequest, Kvrpcpb_CompactResponse>(
        service: "tikvpb.Tikv", name: "Compact", kind: .unary)
    package static let getLockWaitHistory = RPCMethod<Kvrpcpb_GetLockWaitHistoryRequest, Kvrpcpb_GetLockWaitHistoryResponse>(
        service: "tikvpb.Tikv", name: "GetLockWaitHistory", kind: .unary)
    package static let getTiFlashSystemTable = RPCMethod<Kvrpcpb_TiFlashSystemTableRequest, Kvrpcpb_TiFlashSystemTableResponse>(
        service: "tikvpb.Tikv", name: "GetTiFlashSystemTable", kind: .unary)
    package static let getHealthFeedback = RPCMethod<Kvrpcpb_GetHealthFeedbackRequest, Kvrpcpb_GetHealthFeedbackResponse>(
        service: "tikvpb.Tikv", name: "GetHealthFeedback", kind: .unary, batchField: 39)
    package static let broadcastTxnStatus = RPCMethod<Kvrpcpb_BroadcastTxnStatusRequest, Kvrpcpb_BroadcastTxnStatusResponse>(
        service: "tikvpb.Tikv", name: "BroadcastTxnStatus", kind: .unary, batchField: 40)
}

/// The calls of `tracepb.TraceRecordPubSub`.
package enum TracepbTraceRecordPubSubRPC {
    package static let subscribe = RPCMethod<Tracepb_TraceRecordRequest, Tracepb_TraceRecord>(
        service: "tracepb.TraceRecordPubSub", name: "Subscribe", kind: .serverStreaming)
}

/// The calls of `tsopb.TSO`.
package enum TsopbTSORPC {
    package static let tso = RPCMethod<Tsopb_TsoRequest, Tsopb_TsoResponse>(
        service: "tsopb.TSO", name: "Tso", kind: .bidirectional)
    package static let findGroupByKeyspaceID = RPCMethod<Tsopb_FindGroupByKeyspaceIDRequest, Tsopb_FindGroupByKeyspaceIDResponse>(
        service: "tsopb.TSO", name: "FindGroupByKeyspaceID", kind: .unary)
    package static let getMinTS = RPCMethod<Tsopb_GetMinTSRequest, Tsopb_GetMinTSResponse>(
        service: "tsopb.TSO", name: "GetMinTS", kind: .unary)
}
