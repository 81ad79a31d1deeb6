/// How the phone is now, as far as it decides whether what is measured counts.
public struct PhoneState: Equatable {
    /// ProcessInfo.ThermalState by name.
    public enum Thermal: String { case nominal, fair, serious, critical }

    public var thermal = Thermal.nominal
    public var lowPower = false
    public var isInFront = true
    /// 0 to 1; negative where it is not known.
    public var battery = -1.0
    public var isCharging = false

    public init() {}

    /// Why nothing is measured now, as one clause; nil where nothing speaks against it.
    public func hindrance(waitsForHeat: Bool) -> String? {
        if !isInFront { return "the app is not in front" }
        if lowPower { return "low-power mode is on" }
        if waitsForHeat && thermal != .nominal { return "the phone is hot (its thermal state is \(thermal.rawValue))" }
        return nil
    }

    var entry: [String: Any] {
        [
            "thermal": thermal.rawValue, "low_power": lowPower, "foreground": isInFront, "battery": battery,
            "charging": isCharging,
        ]
    }
}

/// What the phone is, for the LUT.
public struct PhoneFacts {
    public var make: String
    /// hw.machine, such as iPhone10,3.
    public var machine: String
    public var cpu: String
    public var cores: Int
    public var memoryBytes: Int
    public var os: String
    public var build: String
    public var qos: String

    public init(
        make: String, machine: String, cpu: String, cores: Int, memoryBytes: Int, os: String, build: String, qos: String
    ) {
        self.make = make
        self.machine = machine
        self.cpu = cpu
        self.cores = cores
        self.memoryBytes = memoryBytes
        self.os = os
        self.build = build
        self.qos = qos
    }

    var entry: [String: Any] {
        [
            "make": make, "machine": machine, "cpu": cpu, "cores": cores, "memory_bytes": memoryBytes, "os": os,
            "build": build, "qos": qos,
        ]
    }
}
