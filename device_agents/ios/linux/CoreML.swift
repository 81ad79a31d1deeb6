// What App/CoreMLEngine.swift uses of Core ML, declared as Apple documents it and doing nothing: build.sh checks that
// file's types against it on Linux, where there is no Core ML. It is no part of the app.
import Foundation

public enum MLComputeUnits: Int { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }

public enum MLMultiArrayDataType: Int { case double, float32, float16, int32 }

public final class MLModelConfiguration: NSObject { public var computeUnits = MLComputeUnits.all }

public final class MLMultiArrayConstraint: NSObject {
    public let shape: [NSNumber] = []
    public let dataType = MLMultiArrayDataType.float16
}

public final class MLFeatureDescription: NSObject { public let multiArrayConstraint: MLMultiArrayConstraint? = nil }

public final class MLModelDescription: NSObject {
    public let inputDescriptionsByName: [String: MLFeatureDescription] = [:]
    public let outputDescriptionsByName: [String: MLFeatureDescription] = [:]
}

public protocol MLFeatureProvider {}

public final class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
    public init(dictionary: [String: Any]) throws {}
}

public final class MLPredictionOptions: NSObject { public var outputBackings: [String: Any] = [:] }

public final class MLMultiArray: NSObject {
    public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {}
    public var dataPointer: UnsafeMutableRawPointer { fatalError() }
    public var count: Int { fatalError() }
}

public final class MLModel: NSObject {
    public init(contentsOf url: URL, configuration: MLModelConfiguration) throws {}
    public static func compileModel(at url: URL) throws -> URL { fatalError() }
    public var modelDescription: MLModelDescription { fatalError() }
    public func prediction(from input: MLFeatureProvider, options: MLPredictionOptions) throws -> MLFeatureProvider {
        fatalError()
    }
}

public final class MLCPUComputeDevice {}
public final class MLGPUComputeDevice {}
public final class MLNeuralEngineComputeDevice {}

public enum MLComputeDevice {
    case cpu(MLCPUComputeDevice)
    case gpu(MLGPUComputeDevice)
    case neuralEngine(MLNeuralEngineComputeDevice)
}

public final class MLModelStructureNeuralNetwork {}

public enum MLModelStructure {
    public struct Operation {}
    public struct Block { public let operations: [Operation] }
    public struct Function { public let block: Block }
    public struct Program { public let functions: [String: Function] }

    case program(Program)
    case neuralNetwork(MLModelStructureNeuralNetwork)
    case unsupported
}

public final class MLComputePlan {
    public struct DeviceUsage { public let preferred: MLComputeDevice }

    public static func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLComputePlan {
        fatalError()
    }
    public var modelStructure: MLModelStructure { fatalError() }
    public func deviceUsage(for operation: MLModelStructure.Operation) -> DeviceUsage? { fatalError() }
}
