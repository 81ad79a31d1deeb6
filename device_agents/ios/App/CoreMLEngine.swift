import CoreML
import Foundation
import LutbenchServer

/// Core ML on some of the phone's units, and where it says that each operation runs.
final class CoreMLEngine: ProgramEngine {
    let name: String
    let runtime = "Core ML of \(ProcessInfo.processInfo.operatingSystemVersionString)"
    private let configuration = MLModelConfiguration()

    static var all: [CoreMLEngine] {
        guard #available(iOS 16.0, *) else { return [] }  // the first that takes and gives 16 bits
        return [
            CoreMLEngine("coreml-cpu", .cpuOnly), CoreMLEngine("coreml-gpu", .cpuAndGPU),
            CoreMLEngine("coreml-ane", .cpuAndNeuralEngine),
        ]
    }

    @available(iOS 16.0, *)
    private init(_ name: String, _ units: MLComputeUnits) {
        self.name = name
        configuration.computeUnits = units
    }

    func load(_ path: String) throws -> Program {
        guard #available(iOS 16.0, *) else { throw EngineError("iOS 16 is the first with programs of 16 bits") }
        let package = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).mlpackage")
        defer { try? FileManager.default.removeItem(at: package) }
        try PackageArchive.unpack(path, into: package.path)
        let compiled = try MLModel.compileModel(at: package)
        defer { try? FileManager.default.removeItem(at: compiled) }
        let model = try MLModel(contentsOf: compiled, configuration: configuration)
        return try CoreMLProgram(model, units: units(of: compiled))
    }

    /// By MLComputePlan, which iOS has from 17.4 on; asked for by a thread that may wait.
    private func units(of compiled: URL) -> [ComputeUnit: Int] {
        guard #available(iOS 17.4, *) else { return [:] }
        let done = DispatchSemaphore(value: 0)
        let found = Found()
        let configuration = self.configuration
        Task.detached {
            defer { done.signal() }
            guard let plan = try? await MLComputePlan.load(contentsOf: compiled, configuration: configuration),
                case .program(let program) = plan.modelStructure
            else { return }
            for operation in program.functions.values.flatMap({ $0.block.operations }) {
                guard let usage = plan.deviceUsage(for: operation) else { continue }  // constants run nowhere
                switch usage.preferred {
                case .cpu: found.units[.cpu, default: 0] += 1
                case .gpu: found.units[.gpu, default: 0] += 1
                case .neuralEngine: found.units[.ane, default: 0] += 1
                @unknown default: break
                }
            }
        }
        done.wait()
        return found.units
    }

    private final class Found: @unchecked Sendable {
        var units: [ComputeUnit: Int] = [:]
    }
}

/// A model of one input and one output, both of which stay in the same memory from run to run.
@available(iOS 16.0, *)
private final class CoreMLProgram: Program {
    let isHalf: Bool
    let input: UnsafeMutableRawPointer
    let inputCount: Int
    let output: UnsafeMutableRawPointer
    let outputCount: Int
    let units: [ComputeUnit: Int]
    private let model: MLModel
    private let arrays: [MLMultiArray]
    private let given: MLDictionaryFeatureProvider
    private let options = MLPredictionOptions()

    init(_ model: MLModel, units: [ComputeUnit: Int]) throws {
        let description = model.modelDescription
        guard let (inputName, inputFeature) = description.inputDescriptionsByName.first,
            let (outputName, outputFeature) = description.outputDescriptionsByName.first,
            let taken = inputFeature.multiArrayConstraint, let made = outputFeature.multiArrayConstraint
        else { throw EngineError("it has not one array as input and one as output") }
        let arrays = [
            try MLMultiArray(shape: taken.shape, dataType: taken.dataType),
            try MLMultiArray(shape: made.shape, dataType: made.dataType),
        ]
        self.model = model
        self.units = units
        self.arrays = arrays
        isHalf = taken.dataType == .float16
        (input, inputCount) = (arrays[0].dataPointer, arrays[0].count)
        (output, outputCount) = (arrays[1].dataPointer, arrays[1].count)
        given = try MLDictionaryFeatureProvider(dictionary: [inputName: arrays[0]])
        options.outputBackings = [outputName: arrays[1]]
    }

    func run() throws { _ = try model.prediction(from: given, options: options) }
}
