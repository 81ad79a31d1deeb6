import Foundation

/// A Core ML package as the host sends it: a tar archive (ustar) of a few files, lutbench/nn/coreml_package.py.
public enum PackageArchive {
    private static let blockBytes = 512
    private static let mostFiles = 16

    /// Writes the files of an archive into a folder, which is made.
    public static func unpack(_ path: String, into folder: String) throws {
        guard let file = FileHandle(forReadingAtPath: path) else { throw EngineError("cannot be opened: \(path)") }
        defer { try? file.close() }
        var count = 0
        while let header = try block(of: file), header.contains(where: { $0 != 0 }) {
            count += 1
            guard count <= mostFiles else { throw EngineError("its archive holds more than \(mostFiles) files") }
            let (name, bytes) = try entry(header)
            let place = "\(folder)/\(name)"
            let parent = (place as NSString).deletingLastPathComponent
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
            let data = bytes == 0 ? Data() : try file.read(upToCount: bytes) ?? Data()
            guard data.count == bytes else { throw EngineError("its archive is cut off") }
            try data.write(to: URL(fileURLWithPath: place))
            let padding = (blockBytes - bytes % blockBytes) % blockBytes
            if padding > 0 { _ = try file.read(upToCount: padding) }
        }
        guard count > 0 else { throw EngineError("its archive is empty") }
    }

    private static func block(of file: FileHandle) throws -> [UInt8]? {
        guard let data = try file.read(upToCount: blockBytes), !data.isEmpty else { return nil }
        guard data.count == blockBytes else { throw EngineError("its archive is cut off") }
        return [UInt8](data)
    }

    /// A file's name and size, of its header.
    private static func entry(_ header: [UInt8]) throws -> (name: String, bytes: Int) {
        let sum = header.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
        guard text(header, 257, 5) == "ustar", number(header, 148, 8) == sum, let bytes = number(header, 124, 12),
            bytes >= 0
        else {
            throw EngineError("it is no archive of a Core ML package")
        }
        let prefix = text(header, 345, 155)
        let name = (prefix.isEmpty ? "" : "\(prefix)/") + text(header, 0, 100)
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard header[156] == UInt8(ascii: "0"), !parts.contains(where: { ["", ".", ".."].contains($0) }) else {
            throw EngineError("its archive holds something that is no file of a package: \(name)")
        }
        return (name, bytes)
    }

    private static func text(_ header: [UInt8], _ start: Int, _ count: Int) -> String {
        String(decoding: header[start..<start + count].prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func number(_ header: [UInt8], _ start: Int, _ count: Int) -> Int? {
        Int(text(header, start, count).trimmingCharacters(in: .whitespaces), radix: 8)
    }
}
