import Foundation
import LutbenchServer

/// Stands in for Core ML, which only Apple's systems have: what a program computes, where it runs and how long that
/// takes stand in a table, by the hash of its file. All around it is what the app runs.
///
///     {"ENGINE": {"runtime": TEXT, "programs": {SHA256: {"half": BOOL, "inputs": COUNT, "output": FILE,
///                                                        "units": {UNIT: COUNT}, "ns": COUNT} or {"refused": WHY}}}}
final class ScriptedEngine: ProgramEngine {
    let name: String
    let runtime: String
    private let table: String

    /// The engines of a table, which is read again for each program.
    static func of(table: String) throws -> [ScriptedEngine] {
        try read(table).map { name, entry in
            ScriptedEngine(name: name, runtime: entry["runtime"] as? String ?? "", table: table)
        }
    }

    private init(name: String, runtime: String, table: String) {
        self.name = name
        self.runtime = runtime
        self.table = table
    }

    func load(_ path: String) throws -> Program {
        let folder = NSTemporaryDirectory() + "lutbench-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try PackageArchive.unpack(path, into: folder)
        let hash = (path as NSString).lastPathComponent.prefix { $0 != "." }
        let programs = try ScriptedEngine.read(table)[name]?["programs"] as? [String: [String: Any]]
        guard let entry = programs?[String(hash)] else { throw EngineError("the table has no such program") }
        if let why = entry["refused"] as? String { throw EngineError(why) }
        return try ScriptedProgram(entry)
    }

    private static func read(_ table: String) throws -> [String: [String: Any]] {
        let found = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: table)))
        guard let entries = found as? [String: [String: Any]] else { throw EngineError("no table of engines: \(table)") }
        return entries
    }
}

private final class ScriptedProgram: Program {
    let isHalf: Bool
    let input: UnsafeMutableRawPointer
    let inputCount: Int
    let output: UnsafeMutableRawPointer
    let outputCount: Int
    let units: [ComputeUnit: Int]
    private let nanoseconds: Int

    init(_ entry: [String: Any]) throws {
        guard let half = entry["half"] as? Bool, let inputs = entry["inputs"] as? Int,
            let file = entry["output"] as? String, let nanoseconds = entry["ns"] as? Int,
            let given = FileManager.default.contents(atPath: file)
        else { throw EngineError("the table's entry lacks something") }
        isHalf = half
        self.nanoseconds = nanoseconds
        let width = half ? 2 : 4
        inputCount = inputs
        outputCount = given.count / width
        input = .allocate(byteCount: max(1, inputs * width), alignment: 64)
        output = .allocate(byteCount: max(1, given.count), alignment: 64)
        let told = entry["units"] as? [String: Int] ?? [:]
        units = Dictionary(uniqueKeysWithValues: ComputeUnit.allCases.compactMap { unit in
            told[unit.rawValue].map { (unit, $0) }
        })
        for (place, byte) in given.enumerated() { output.storeBytes(of: byte, toByteOffset: place, as: UInt8.self) }
    }

    deinit {
        input.deallocate()
        output.deallocate()
    }

    func run() {
        let until = nanosecondsNow() + nanoseconds
        while nanosecondsNow() < until {}
    }
}

private func nanosecondsNow() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}
