import Foundation
import LutbenchCore

/// Runs one job at a time on a thread of its own. Records go to a file, so they outlast a broken connection and the app.
final class Jobs {
    private let folder: String
    private let library: String?
    private let root: String
    private let engines: Engines
    private let changed = NSCondition()
    private var session: OpaquePointer
    private var holdWhy: String?
    private var waiting: (id: String, job: [UInt8])?
    private var current = ""
    private var isBusy = false
    private var known: [String: Bool] = [:]  // whether a job of this process has ended
    private var renews = false
    private static let endBytes = 1 << 16  // of records, in which the last result is looked for
    /// Told of each job's beginning and end, in words, on the job's thread.
    var onChange: ((String) -> Void)?
    /// Told what each job measured last.
    var onResult: ((String) -> Void)?

    init?(root: String, library: String?, engines: Engines = Engines([])) {
        guard let session = engines.session(library: library, root: root) else { return nil }
        self.session = session
        self.engines = engines
        self.root = root
        self.library = library
        folder = "\(root)/jobs"
        let thread = Thread { [self] in work() }
        thread.qualityOfService = .userInteractive
        thread.stackSize = 8 << 20  // as a program's first thread has, which runtimes are used to
        thread.start()
    }

    var running: String? { locked { isBusy ? current : nil } }

    /// false where another job is still measured. A job that is known already is not run again.
    func start(_ id: String, _ job: [UInt8]) -> Bool {
        locked {
            if known[id] != nil { return true }
            if isBusy { return false }
            isBusy = true
            current = id
            known[id] = false
            waiting = (id, job)
            changed.broadcast()
            return true
        }
    }

    /// Nothing is measured until it is called with nil.
    func hold(_ why: String?) {
        locked {
            holdWhy = why
            lutbench_session_hold(session, why)
        }
    }

    /// Ends the job that runs at its next cycle; whether it has ended within some seconds. To be followed by `hold`.
    func stop(_ why: String) -> Bool {
        locked {
            if isBusy { lutbench_session_hold(session, why) }
            let deadline = Date(timeIntervalSinceNow: 10)
            while isBusy, changed.wait(until: deadline) {}
            return !isBusy
        }
    }

    /// The next job has a session of its own: nothing stays loaded.
    func renew() { locked { renews = true } }

    struct Look {
        let done: Bool
        let running: Bool
        let data: [UInt8]
        let more: Bool
    }

    /// Records from an offset on, once the job has ended or the time is up. nil where a job has no records.
    func look(_ id: String, offset: Int, milliseconds: Int, most: Int) -> Look? {
        let deadline = Date(timeIntervalSinceNow: Double(milliseconds) / 1000)
        changed.lock()
        while known[id] == false, changed.wait(until: deadline) {}
        let done = known[id]  // before the file is read: records that come later are the next look's
        changed.unlock()
        guard let file = FileHandle(forReadingAtPath: path(of: id)) else {
            return done == nil ? nil : Look(done: done == true, running: done == false, data: [], more: false)
        }
        defer { try? file.close() }
        let size = (try? file.seekToEnd()) ?? 0
        guard UInt64(offset) < size, (try? file.seek(toOffset: UInt64(offset))) != nil else {
            return Look(done: done == true, running: done == false, data: [], more: false)
        }
        let data = [UInt8]((try? file.read(upToCount: most)) ?? Data())
        return Look(
            done: done == true, running: done == false, data: data, more: UInt64(offset + data.count) < size
        )
    }

    private func path(of id: String) -> String { "\(folder)/\(id).jsonl" }

    private func work() {
        while true {
            changed.lock()
            while waiting == nil { changed.wait() }
            let (id, job) = waiting!
            waiting = nil
            renewIfAsked()
            let session = self.session
            changed.unlock()
            let words = JobWords(job)
            onChange?(words.running)
            run(session, id, job)
            changed.lock()
            known[id] = true
            isBusy = false
            changed.broadcast()
            changed.unlock()
            if let result = words.result(of: end(of: id)) { onResult?(result) }
            onChange?("waiting for the host")
        }
    }

    private func end(of id: String) -> [UInt8] {
        guard let file = FileHandle(forReadingAtPath: path(of: id)), let size = try? file.seekToEnd() else { return [] }
        defer { try? file.close() }
        let start = size - min(size, UInt64(Jobs.endBytes))
        guard (try? file.seek(toOffset: start)) != nil else { return [] }
        return [UInt8]((try? file.readToEnd()) ?? Data())
    }

    private func renewIfAsked() {
        guard renews, let fresh = engines.session(library: library, root: root) else { return }
        renews = false
        lutbench_session_free(session)
        session = fresh
        lutbench_session_hold(session, holdWhy)
    }

    private func run(_ session: OpaquePointer, _ id: String, _ job: [UInt8]) {
        let file = open(path(of: id), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644)
        guard file >= 0 else { return }
        defer { close(file) }
        _ = job.withUnsafeBytes {
            lutbench_session_run(session, $0.baseAddress!.assumingMemoryBound(to: CChar.self), job.count, file)
        }
    }

    private func locked<T>(_ body: () -> T) -> T {
        changed.lock()
        defer { changed.unlock() }
        return body()
    }
}
