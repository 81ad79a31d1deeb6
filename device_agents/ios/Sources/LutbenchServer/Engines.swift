import Foundation
import LutbenchCore

/// A unit that operations of a program run on.
public enum ComputeUnit: String, CaseIterable { case cpu, gpu, ane }

/// A program that is ready to run: one input and one output of floats, in memory that stays where it is.
public protocol Program: AnyObject {
    /// Whether numbers have 16 bits; else 32.
    var isHalf: Bool { get }
    var input: UnsafeMutableRawPointer { get }
    var inputCount: Int { get }
    var output: UnsafeMutableRawPointer { get }
    var outputCount: Int { get }
    /// How many of its operations run on which unit; empty where the system does not tell.
    var units: [ComputeUnit: Int] { get }
    func run() throws
}

/// A runtime beside those that the core has itself.
public protocol ProgramEngine: AnyObject {
    /// That jobs ask for, such as coreml-ane.
    var name: String { get }
    /// Name and version of the runtime, for the LUT.
    var runtime: String { get }
    /// Makes a file ready to run.
    func load(_ path: String) throws -> Program
}

/// What is wrong with a file or a run, in one clause.
public struct EngineError: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// Engines as the core takes them: structures of C, whose texts live as long as this does.
final class Engines {
    private let engines: [ProgramEngine]
    private let texts: [UnsafeMutablePointer<CChar>]
    private let entries: [lutbench_engine]

    init(_ engines: [ProgramEngine]) {
        self.engines = engines
        texts = engines.flatMap { [strdup($0.name)!, strdup($0.runtime)!] }
        entries = engines.enumerated().map { [texts] number, engine in
            lutbench_engine(
                context: Unmanaged.passUnretained(engine as AnyObject).toOpaque(), name: texts[2 * number],
                runtime: texts[2 * number + 1], load: loadProgram, run: runProgram, unload: unloadProgram)
        }
    }

    deinit { texts.forEach { free($0) } }

    func session(library: String?, root: String) -> OpaquePointer? {
        lutbench_session_new(library, root, entries, entries.count)
    }
}

private typealias Why = UnsafeMutablePointer<CChar>

/// What the core holds of a program.
private final class Held {
    let program: Program

    init(_ program: Program) { self.program = program }
}

private func loadProgram(
    _ context: UnsafeMutableRawPointer?, _ path: UnsafePointer<CChar>?, _ found: UnsafeMutablePointer<lutbench_program>?,
    _ why: UnsafeMutablePointer<CChar>?, _ size: Int
) -> Int32 {
    guard let context, let path, let found, let why else { return 0 }
    let engine = Unmanaged<AnyObject>.fromOpaque(context).takeUnretainedValue() as! ProgramEngine
    return tried(why, size) {
        let program = try engine.load(String(cString: path))
        let units = program.units
        found.pointee = lutbench_program(
            handle: Unmanaged.passRetained(Held(program)).toOpaque(), is_half: program.isHalf ? 1 : 0,
            input: program.input, input_count: program.inputCount, output: program.output,
            output_count: program.outputCount, on_cpu: Int32(units[.cpu] ?? 0), on_gpu: Int32(units[.gpu] ?? 0),
            on_ane: Int32(units[.ane] ?? 0))
    }
}

private func runProgram(_ handle: UnsafeMutableRawPointer?, _ why: UnsafeMutablePointer<CChar>?, _ size: Int) -> Int32 {
    guard let handle, let why else { return 0 }
    return tried(why, size) { try Unmanaged<Held>.fromOpaque(handle).takeUnretainedValue().program.run() }
}

private func unloadProgram(_ handle: UnsafeMutableRawPointer?) {
    if let handle { Unmanaged<Held>.fromOpaque(handle).release() }
}

/// 1, or 0 and why not. Objects that a system's framework leaves to be let go of later go at once.
private func tried(_ why: Why, _ size: Int, _ body: () throws -> Void) -> Int32 {
    do {
        try withoutLeftovers(body)
        return 1
    } catch {
        copyText("\(error)", why, size)
        return 0
    }
}

private func copyText(_ text: String, _ target: Why, _ size: Int) {
    let bytes = Array(text.utf8.prefix(max(0, size - 1)))
    for (place, byte) in bytes.enumerated() { target[place] = CChar(bitPattern: byte) }
    if size > 0 { target[bytes.count] = 0 }
}
