import Foundation

/// What a job measures and what came of it, in words for the screen. One that cannot be read says less.
struct JobWords {
    private let artifacts: Int
    private let cycles: [[String]]

    init(_ job: [UInt8]) {
        let entry = (try? JSONSerialization.jsonObject(with: Data(job))) as? [String: Any] ?? [:]
        artifacts = (entry["artifacts"] as? [Any])?.count ?? 0
        cycles = (entry["cycles"] as? [[Any]] ?? []).map { $0.first as? [String] ?? [] }
    }

    /// While it runs.
    var running: String {
        guard let first = cycles.first?.first else { return "loading (\(artifacts) artifacts)" }
        let others = Set(cycles.joined()).count - 1
        return others > 0 ? "measuring \(first) and \(others) more" : "measuring \(first)"
    }

    /// The last thing that was measured, by the end of its records, and its median; nil where nothing was.
    func result(of records: [UInt8]) -> String? {
        for line in records.split(separator: UInt8(ascii: "\n")).reversed() {
            let record = Data(line.prefix { $0 != UInt8(ascii: "\t") })  // behind it is the record's checksum
            guard let entry = (try? JSONSerialization.jsonObject(with: record)) as? [String: Any],
                let number = entry["cycle"] as? Int, cycles.indices.contains(number), let name = cycles[number].last,
                let samples = (entry["ns"] as? [[Double]])?.last, !samples.isEmpty
            else { continue }
            let middle = samples.sorted()[samples.count / 2]
            return "\(name): \(String(format: "%.1f", middle / 1000)) us"
        }
        return nil
    }
}
