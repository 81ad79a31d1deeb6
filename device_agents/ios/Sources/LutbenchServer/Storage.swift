import Foundation
import LutbenchCore

/// Files by their content's hash in the app's own folder; what is there is not sent again.
final class Storage {
    enum Problem: Error {
        case place(String)
        case space(String)
        case damaged(String)
        case failed(String)
    }

    let folder: String
    static let mostBytes = 2 << 30
    private static let spareBytes = 16 << 20
    private static let tops = ["artifacts", "inputs"]
    private static let letters = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-=")

    /// Makes the folder, and removes what an interrupted transfer left.
    init(folder: String) throws {
        self.folder = folder
        for name in Storage.tops + ["incoming", "jobs"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        empty("incoming")
    }

    /// Where a file lies; nil where the place is none of this folder's.
    func path(of place: String) -> String? {
        let parts = place.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 2, parts.count <= 6, place.utf8.count <= 400, Storage.tops.contains(String(parts[0])) else {
            return nil
        }
        for part in parts where part.isEmpty || part.first == "." || !part.allSatisfy(Storage.letters.contains) {
            return nil
        }
        return "\(folder)/\(place)"
    }

    func holds(_ place: String) throws -> Bool {
        guard let path = path(of: place) else { throw Problem.place(place) }
        return FileManager.default.fileExists(atPath: path)
    }

    var freeBytes: Int {
        var system = statvfs()
        guard statvfs(folder, &system) == 0 else { return 0 }
        return Int(clamping: UInt64(system.f_bavail) * UInt64(system.f_frsize))
    }

    /// Takes a file chunk by chunk. Every chunk is taken off the connection, whatever is wrong with the file.
    func put(_ place: String, sha256: String, bytes: Int, chunk: (Int) throws -> [UInt8]) throws {
        let target = path(of: place)
        var problem: Problem?
        if target == nil { problem = .place(place) }
        if problem == nil && freeBytes < bytes + Storage.spareBytes {
            problem = .space("\(bytes >> 20) MiB are needed, \(freeBytes >> 20) MiB are left")
        }
        let aside = "\(folder)/incoming/\(UUID().uuidString)"
        let file = problem == nil ? open(aside, O_WRONLY | O_CREAT | O_EXCL, 0o644) : -1
        if problem == nil && file < 0 { problem = .failed(lastError()) }
        defer {
            if file >= 0 { unlink(aside) }
        }
        do {
            defer { if file >= 0 { close(file) } }
            var left = bytes
            while left > 0 {
                let data = try chunk(left)
                left -= data.count
                if problem == nil && !write(data, to: file) { problem = .space(lastError()) }
            }
            if file >= 0 && fsync(file) != 0 { problem = problem ?? .failed(lastError()) }
        }
        if let problem { throw problem }
        try keep(aside, as: target!, sha256)
    }

    /// Removes all that is kept; how many bytes that were.
    func clean() -> Int {
        Storage.tops.reduce(0) { $0 + empty($1) } + empty("jobs")
    }

    @discardableResult func empty(_ name: String) -> Int {
        let manager = FileManager.default
        var freed = 0
        let top = "\(folder)/\(name)"
        for entry in manager.enumerator(atPath: top)?.compactMap({ $0 as? String }) ?? [] {
            let about = try? manager.attributesOfItem(atPath: "\(top)/\(entry)")
            if about?[.type] as? FileAttributeType == .typeRegular { freed += about?[.size] as? Int ?? 0 }
        }
        for entry in (try? manager.contentsOfDirectory(atPath: top)) ?? [] {
            try? manager.removeItem(atPath: "\(top)/\(entry)")
        }
        return freed
    }

    private func write(_ data: [UInt8], to file: Int32) -> Bool {
        var done = 0
        while done < data.count {
            let count = data.withUnsafeBytes { writeBytes(file, $0.baseAddress! + done, data.count - done) }
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return false }
            done += count
        }
        return true
    }

    /// The stored bytes are read again and hashed before they take their place.
    private func keep(_ aside: String, as target: String, _ sha256: String) throws {
        var digits = [CChar](repeating: 0, count: 65)
        guard lutbench_file_sha256(aside, &digits) == 1, String(cString: digits) == sha256 else {
            throw Problem.damaged("it arrived as other bytes")
        }
        let parent = (target as NSString).deletingLastPathComponent
        try? FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        if rename(aside, target) != 0 { throw Problem.failed(lastError()) }
    }
}

private func writeBytes(_ file: Int32, _ data: UnsafeRawPointer, _ count: Int) -> Int { write(file, data, count) }
